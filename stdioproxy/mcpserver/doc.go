// Package mcpserver is durable's MCP surface: tools, resources, subscriptions and completion over any
// [task.Service]. The stdio proxy runs it on ipc/client, a daemon may run it behind streamable HTTP on
// its own engine: one surface, two carriers. It keeps no state of tasks; what it knows of a session
// (what is subscribed, which tasks it started) is gone with the session and no task depends on it.
//
// It is the only package that imports the MCP SDK (github.com/modelcontextprotocol/go-sdk): that knows
// the protocol's five eras, and is what the protocol's authors maintain.
//
// # Design
//
// A host shows its model either a result's content or its structuredContent, never both. So a tool
// builds one [reply], and both halves are made from it, each complete by itself: task, hint, refusal,
// log lines and what to do next.
//
// Arguments are tables ([arg]): the JSON Schema that a host sees and the check that a call meets come
// from the same rows, and an unknown or ill-typed argument is refused by name. Rejected: the SDK's
// generic AddTool, which reflects and resolves schemas at each start (hosts spawn throw-away copies,
// so a start must cost nothing), and whose refusals name a JSON pointer, not what to write instead.
//
// What the SDK gets wrong on a pipe is put right below it, in a connection of our own ([conn]): one
// malformed line must not end a session, replies must be out before the process is, ids must come back
// as they went in, and server/discover must not spoil a later initialize. What holds for both carriers
// is middleware. Rejected: a fork of the SDK; a byte filter in front of its own transport, which would
// have to parse every message a second time.
//
// User-defined kinds are tools of their own, read from the file that the daemon leaves (a host may list tools while
// none runs) and renewed when the event stream says that the kinds changed. For a list of tools alone a daemon that is
// away is not looked for: an idle session must cost nothing. Rejected: one tool that takes any kind by name, whose
// schema could say nothing of the parameters.
//
// A task that waits for approval is put before the person at the client, where the client can do that; the call
// still ends within [maxCall], and what it then says names the terminal's commands. Rejected: the SDK's own bridge
// from input requests to elicitation for older clients, which waits without end and fails the call with the form.
//
// Over HTTP ([HTTP]) the SDK's handler carries the same surface for clients up to 2025-11-25; what it lacks is around it:
// sessions that nobody uses end (its own timer ends those that only listen), a client that does not read holds up nobody,
// and a stream that is opened late, or again, hears what it missed. Rejected: the SDK's event store for that, which keeps
// every answer of every session in memory and refuses a stream for good once it had to drop one.
//
// Subscriptions are fed by one event stream for all sessions ([hub]), opened while somebody is
// interested, and told to clients as "something changed", at most [updatesPerSecond] times a second for
// each URI, the last one always. Rejected: a stream for each subscription (a dashboard subscribes to
// fifty), and polling.
package mcpserver
