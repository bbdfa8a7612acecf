//go:build unix

package daemon_test

// shortTemp: macOS's own is too long for a socket.
const shortTemp = "/tmp"
