//go:build !linux

package pgtest

import (
	"os"
	"testing"
	"time"
)

// Password is that of the user postgres over loopback.
const Password = "s3cret p@ss/wörd"

// Server is one server with its data.
type Server struct{}

// Need skips the test: the servers of tests are started on Linux only.
func Need(t testing.TB) string {
	t.Helper()
	const msg = "PostgreSQL servers of tests run on Linux only: what moves records from and to it is not tested"
	if os.Getenv("DURABLE_TEST_ALL") == "1" {
		t.Fatal(msg)
	}
	t.Skip(msg)
	return ""
}

// New skips the test.
func New(t testing.TB, _ ...string) *Server { t.Helper(); Need(t); return nil }

// Own skips the test.
func Own(t testing.TB) *Server { return New(t) }

// Start is never called.
func (*Server) Start() error { return nil }

// Kill is never called.
func (*Server) Kill() {}

// KillBackend is never called.
func (*Server) KillBackend(int) error { return nil }

// Stop is never called.
func (*Server) Stop() {}

// Log is never called.
func (*Server) Log() string { return "" }

// Port is never called.
func (*Server) Port() int { return 0 }

// SocketURL is never called.
func (*Server) SocketURL(string) string { return "" }

// URL is never called.
func (*Server) URL(string) string { return "" }

// Exec is never called.
func (*Server) Exec(testing.TB, string, ...string) {}

// Query is never called.
func (*Server) Query(testing.TB, string, string) string { return "" }

// WatchCPU is never called.
func (*Server) WatchCPU() func() time.Duration { return nil }
