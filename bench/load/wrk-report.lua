-- What wrk says at the end of a run, as one line of JSON. Used by the scripts that wrk.mjs writes.
--
-- wrk adds latencies that it did not measure: for one of several times the mean interval it also
-- counts what requests in between would have seen ("coordinated omission"). The mean interval is
-- that of single requests, also when they are pipelined, so that its percentiles of pipelined load
-- mean nothing, and one pause fills the 99th of a short slice. What was added is taken away again
-- here, which is possible because longer latencies only ever add to shorter ones. A latency of
-- pipelined load is then that of a whole batch.

local ffi = require('ffi')

-- The histogram of wrk 4: a count for each microsecond.
ffi.cdef([[
  typedef struct { uint64_t count, limit, min, max; uint64_t data[]; } wrk_stats;
]])

-- The histogram behind what wrk hands over, or nil when it is not what this file knows.
local function histogram(latency)
  local stats = ffi.cast('wrk_stats **', latency)[0]
  if tonumber(stats.max) ~= latency.max or tonumber(stats.min) ~= latency.min then return nil end
  return stats
end

local function take_away(stats, interval)
  local max = tonumber(stats.max)
  for value = max, 2 * interval, -1 do
    local count = stats.data[value]
    if count > 0 then
      for added = value - interval, interval + 1, -interval do
        stats.data[added] = stats.data[added] - count
      end
    end
  end
end

local function percentile(stats, share)
  local max, total, seen = tonumber(stats.max), 0, 0
  for value = 0, max do total = total + tonumber(stats.data[value]) end
  for value = 0, max do
    seen = seen + tonumber(stats.data[value])
    if seen >= total * share and seen > 0 then return value end
  end
  return 0
end

-- connections: of the run, from which wrk had its mean interval.
function report(summary, latency, connections)
  local p50, p99 = 'null', 'null'
  local stats = histogram(latency)
  local each = math.floor(summary.requests / connections)
  if stats ~= nil and each > 0 then
    take_away(stats, math.floor(summary.duration / each))
    p50, p99 = percentile(stats, 0.5), percentile(stats, 0.99)
  end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%.0f,"microseconds":%.0f,"p50":%s,"p99":%s,"failures":%.0f,"status":%.0f}\n',
    summary.requests, summary.duration, p50, p99,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
