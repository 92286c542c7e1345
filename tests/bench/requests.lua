-- Sends the lines of a file in turn: method, path and body, parted by tabs. Formats each once, not at every request.
local ready, next_one = {}, 0

function init(arguments)
    for line in io.lines(arguments[1]) do
        local method, path, body = line:match("^(%S+)\t(%S+)\t(.*)$")
        if body == "" then body = nil end
        ready[#ready + 1] = wrk.format(method, path, { ["Content-Type"] = "application/json" }, body)
    end
end

function request()
    next_one = next_one % #ready + 1
    return ready[next_one]
end

function done(summary, latency, _)
    local e = summary.errors
    local failures = e.connect + e.read + e.write + e.status + e.timeout
    local line = '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "failures": %d}\n'
    io.write(line:format(summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3, failures))
end
