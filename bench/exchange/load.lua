-- What wrk sends and what it prints: one JSON object on its last line. Request from the environment: METHOD, BYTES, CLIENT (may be empty).
local bytes = tonumber(os.getenv("BYTES") or "1024")
wrk.method = os.getenv("METHOD") or "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
local client = os.getenv("CLIENT") or ""
if client ~= "" then wrk.headers["X-Road-Client"] = client end
local head, tail = '{"text":"', '"}'
wrk.body = head .. string.rep("k", bytes - #head - #tail) .. tail

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%.6f,"bytes":%d,"refused":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
