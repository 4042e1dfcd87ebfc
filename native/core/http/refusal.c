#include "http/refusal.h"

const wh_refusal_row wh_refusal_table[WH_REFUSAL_COUNT] = {{"", "", 0},
#define WH_REFUSAL_ROW(constant, name, status, text) {name, text, status},
                                                           WH_REFUSALS(WH_REFUSAL_ROW)
#undef WH_REFUSAL_ROW
};
