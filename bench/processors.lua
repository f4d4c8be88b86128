-- Posts to a payment processor, each payment with an id of its own. Usage: wrk -s processors.lua URL -- SEED
local count = 0

function init(args)
  head = "POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 112\r\n\r\n"
    .. string.format("{\"correlationId\":\"%08x-0000-4000-8000-", tonumber(args[1]) or 0)
end

function request()
  count = count + 1
  return head .. string.format("%012x\",\"amount\":19.90,\"requestedAt\":\"2026-07-10T12:%02d:%02d.%03dZ\"}",
    count, math.floor(count / 60000) % 60, math.floor(count / 1000) % 60, count % 1000)
end
