/**
 * The words that the files of the harness share. This file has types only.
 *
 * @typedef {object} Scenario One thing to measure.
 * @property {string} name Its name on the command line.
 * @property {string} title One line for people.
 * @property {'load' | 'idle-memory'} kind How it is measured.
 * @property {Route} route What the server must be able to serve; a peer lists what it can.
 * @property {Trait} [trait] What is asked of the server besides the route.
 * @property {Protocol} [protocol] Left out: HTTP/1.1 in cleartext.
 * @property {'full' | 'resumed'} [handshake] Each request is made on a connection of its own, with a
 *   full handshake or by the ticket that the connection before it was given.
 * @property {HttpRequest} request What each request looks like.
 * @property {Expectation} expect What a right answer is.
 * @property {Load} [load] For kind 'load'.
 * @property {number} [connections] For kind 'idle-memory': how many are held open.
 * @property {readonly Metric[]} metrics The figures that matter, the first one ranks the servers.
 *
 * @typedef {'hello' | 'json' | 'user' | 'async' | 'echo' | 'upload' | 'large' | 'file' | 'unary'} Route
 * @typedef {'refuse'} Trait
 * @typedef {'https' | 'h2' | 'h2c'} Protocol
 *   https: HTTP/1.1 over TLS; h2: HTTP/2 over TLS by ALPN; h2c: HTTP/2 in cleartext, by prior knowledge.
 * @typedef {'cpu' | 'p50' | 'bytes'} Metric
 *   cpu: µs of CPU per request; p50: µs; bytes: resident growth per idle connection.
 *
 * @typedef {object} HttpRequest
 * @property {string} method
 * @property {string} path
 * @property {Readonly<Record<string, string>>} [headers]
 * @property {number} [bodyBytes] A body of that many letters x.
 * @property {string} [body] A body; latin1.
 * @property {string} [malformedLine] A header line that makes the request invalid.
 *
 * @typedef {object} Expectation
 * @property {number} status
 * @property {string} [body] The whole body, when it is to be compared.
 * @property {number} [bodyBytes] The length of the body, when only that is.
 * @property {Readonly<Record<string, string>>} [trailers] Fields that must follow the body.
 * @property {boolean} keepAlive Whether the connection must stay open.
 *
 * @typedef {object} Load
 * @property {number} connections
 * @property {number} [pipeline] Requests sent at once on a connection; 1 when left out.
 * @property {number} [streams] HTTP/2: requests under way at a time on a connection; 1 when left out.
 *
 * @typedef {object} Peer A server that can be measured.
 * @property {string} name Its name on the command line.
 * @property {string} title
 * @property {(scenario: Scenario) => string} [titleOf] Where a part of it with another name serves some
 *   scenarios.
 * @property {readonly Need[]} can What it serves.
 * @property {Readonly<Partial<Record<Need, string>>>} [cannot] Why it does not serve others.
 * @property {number} [warmUpSeconds] When it needs longer than others.
 * @property {(place: Place) => Promise<void>} prepare Builds what is missing; throws the reason
 *   when the peer cannot run here.
 * @property {() => Promise<string>} version
 * @property {(launch: Launch) => Promise<Command> | Command} command How to start it.
 *
 * @typedef {Route | Trait | Protocol} Need What a scenario asks of a peer.
 *
 * @typedef {object} Place Folders of this checkout.
 * @property {string} root The repository.
 * @property {string} work A folder for what is built, ignored by git.
 *
 * @typedef {object} Launch
 * @property {number} port To listen on, at 127.0.0.1.
 * @property {Scenario} scenario
 * @property {string} folder A temporary folder of this one server, for configuration files.
 * @property {Certificate | null} certificate Null where the scenario is in cleartext.
 *
 * @typedef {object} Certificate Files in PEM.
 * @property {string} cert
 * @property {string} key
 *
 * @typedef {object} Command
 * @property {string} file
 * @property {readonly string[]} args
 * @property {Readonly<Record<string, string>>} [env] Added to the environment.
 *
 * @typedef {object} LoadResult What a load generator counted.
 * @property {number} requests Answers received.
 * @property {number} seconds
 * @property {number | null} p50 µs
 * @property {number | null} p99 µs
 * @property {number} failures Connections, reads, writes and time-outs that failed.
 * @property {number} wrong Answers with another status than expected.
 *
 * @typedef {object} Slice
 * @property {number} cpu µs per request.
 * @property {number} rate Requests per second.
 * @property {number | null} p50 µs
 * @property {number | null} p99 µs
 * @property {number} rss Bytes resident in the server's processes after the slice.
 * @property {number} busy Cores that the server used, 1 = all of its core.
 * @property {number} foreign Cores that other processes used meanwhile.
 * @property {number | null} speed Nanoseconds that a fixed piece of work took on the server's core
 *   meanwhile; null when unknown.
 * @property {boolean} noisy Kept although foreign was too high or the core too slow, because repeats
 *   were used up.
 * @property {number} failures
 *
 * @typedef {object} Figure
 * @property {number} median
 * @property {number} deviation Median absolute deviation from the median.
 *
 * @typedef {object} Outcome One server in one scenario.
 * @property {string} server
 * @property {string} [title] What served, where that is not the title of the server.
 * @property {'ok' | 'failed' | 'unsupported'} status
 * @property {string} [reason] When it is not ok.
 * @property {string} [negotiated] TLS: version, cipher suite and group of its connections.
 * @property {Partial<Record<'cpu' | 'rate' | 'p50' | 'p99' | 'rss' | 'busy' | 'bytes', Figure>>} figures
 * @property {number} [idleCpu] Cores used while nothing was asked of it.
 * @property {number} [discarded] Slices thrown away and repeated.
 * @property {number} [noisy] Slices kept although the machine was not quiet. They do not count in
 *   the figures where at least half of the slices are quiet; otherwise the least disturbed half
 *   counts.
 * @property {readonly Slice[]} [slices]
 *
 * @typedef {object} ScenarioReport
 * @property {string} name
 * @property {string} title
 * @property {readonly Metric[]} metrics
 * @property {Protocol} [protocol]
 * @property {'full' | 'resumed'} [handshake]
 * @property {Outcome[]} outcomes
 *
 * @typedef {object} ServerNote
 * @property {string} name
 * @property {string} title
 * @property {string} [version]
 * @property {string} [reason] Why it could not run at all.
 *
 * @typedef {object} Report
 * @property {string} date
 * @property {Record<string, string | number>} machine
 * @property {Record<string, string>} tools
 * @property {Record<string, string | number | boolean>} settings
 * @property {ServerNote[]} servers
 * @property {ScenarioReport[]} scenarios
 */

export {};
