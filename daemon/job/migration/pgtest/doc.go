// Package pgtest starts PostgreSQL servers for tests: real ones, in scratch folders, on loopback and a Unix socket,
// which may be killed and started again.
//
// # Design
//
// The programs of the installed package are used directly. Rejected: the cluster that Debian's package starts by
// itself, which is the machine's and not ours to kill; containers, which a test cannot count on.
//
// fsync stays on: what a SIGKILL leaves behind is the point. A server runs as an unprivileged user, since PostgreSQL
// refuses root, and dies with the test binary.
package pgtest
