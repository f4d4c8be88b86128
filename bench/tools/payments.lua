-- Posts payments that differ, each with a correlationId of its own: `seed` tells one run's from another's.
-- Usage: wrk -s payments.lua URL -- SEED
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(args)
  local seed = tonumber(args[1]) or 0
  -- Two words that stay, two that count: cheap, and unique over threads and runs.
  run = string.format("%08x-%04x-4", seed % 0x100000000, number)
  count = 0
  head = "POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 71\r\n\r\n"
    .. "{\"correlationId\":\""
end

function request()
  count = count + 1
  -- What counts is spread as in a random id: it must not be kinder to an index than real ids are.
  local mixed = (count * 2654435761) % 0x100000000
  return head .. run .. string.format("%03x-8%03x-%04x%08x", mixed % 4096, math.floor(mixed / 4096) % 4096, number, count)
    .. "\",\"amount\":19.90}"
end

function done(summary, latency)
  io.write(string.format(
    "JSON{\"requests\":%d,\"seconds\":%.6f,\"refused\":%d,\"failed\":%d,\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}\n",
    summary.requests, summary.duration / 1e6, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, latency.max / 1000))
end
