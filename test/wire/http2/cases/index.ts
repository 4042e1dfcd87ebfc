/** All the cases, by the name of the test that runs them. */
import type { Case } from '../../../support/h2/case.js';
import { carriers } from './carriers.js';
import { compression } from './compression.js';
import { control } from './control.js';
import { extensions } from './extensions.js';
import { flowControl } from './flow-control.js';
import { frameFormat } from './frame-format.js';
import { requests } from './requests.js';
import { starting } from './starting.js';
import { streamStates } from './stream-states.js';

export const allCases: Readonly<Record<string, readonly Case[]>> = {
  starting,
  frameFormat,
  streamStates,
  carriers,
  control,
  flowControl,
  requests,
  compression,
  extensions,
};
