// Package socket knows where a daemon's files lie, and opens the one door to it: a Unix domain socket,
// on Windows a named pipe. It says where ([DefaultPaths], [Find]), opens the door ([Listen]), knocks
// ([Dial]) and tells who stands there ([Peer]).
//
// # Design
//
// Nothing here depends on XDG variables: hosts launch MCP servers with HOME, PATH and little more, and
// a socket that moved with XDG_RUNTIME_DIR would be found by one program and not by the next. The
// socket lies in the state folder; DURABLE_HOME moves all, DURABLE_SOCKET the socket alone.
//
// A socket is bound under a temporary name, chmodded, and renamed to its own: nobody ever sees one with
// a wider mode, and a client finds the old socket or the new one, never none. A lock file beside it is
// held for life, so that of two daemons one is told so. Rejected: to dial, remove and bind, as
// tailscale and gopls do, where a second daemon can remove the socket that the first has bound in
// between; abstract sockets, which have no mode and no other system than Linux; TCP on localhost,
// which any user and any web page can reach.
//
// Named pipes come from github.com/Microsoft/go-winio: x/sys has the system calls, but not the
// overlapped I/O that makes a net.Conn of a pipe. AF_UNIX on Windows was rejected: it tells nothing
// about its peer.
package socket
