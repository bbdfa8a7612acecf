// Package stdioproxy is the session that a host has with durable-mcp over its stdin and stdout: how
// messages are cut out of the stream, who may write to it, and when the process leaves. What the
// messages say is [durable/stdioproxy/mcpserver]'s.
//
// # Design
//
// A message is a line. A line that is too long is skipped up to its end without being kept, and
// answered with an error under its own id where that can be found ([idScanner]), so that the call does
// not hang in the host until its timeout. Rejected: bufio.Scanner, whose ErrTooLong ends the stream;
// json.Decoder, which cannot find the next message after a malformed one.
//
// stdout belongs to the protocol: [Take] swaps os.Stdout, so that a stray print lands on stderr and
// cannot break the session.
//
// The process leaves when stdin ends, but also when its parent dies, since a grandchild may hold the
// other end of the pipe open for ever. The kernel tells of that death (pidfd, kqueue, a process
// handle): nothing polls. Rejected: PR_SET_PDEATHSIG, which fires when the parent's *thread* ends, and
// hosts start servers from thread pools; asking for the parent's pid once a second, which keeps an idle
// laptop awake once for each session.
package stdioproxy
