package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// Password is that of the user postgres over loopback.
const Password = "s3cret p@ss/wörd"

// patience bounds each wait.
const patience = time.Minute

// Server is one server with its data.
type Server struct {
	dir, bin string
	cred     *syscall.Credential
	settings []string
	port     int

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed when the postmaster has been waited for
	log  bytes.Buffer
}

// Find returns the folder of PostgreSQL's programs, or "".
func Find() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, dir := range dirs {
		if executable(filepath.Join(dir, "initdb")) && executable(filepath.Join(dir, "postgres")) {
			return dir
		}
	}
	return ""
}

func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0: an odd name comes last
	return n
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// Need skips the test where PostgreSQL is not installed. With DURABLE_TEST_ALL=1 nothing may be left out.
func Need(t testing.TB) string {
	t.Helper()
	bin := Find()
	if bin == "" {
		const msg = "PostgreSQL is not installed (Debian: apt-get install postgresql): what moves records from and to it is not tested"
		if os.Getenv("DURABLE_TEST_ALL") == "1" {
			t.Fatal(msg)
		}
		t.Skip(msg)
	}
	return bin
}

// New makes a server with settings, as name=value, and starts it. The caller stops it.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{bin: Need(t), settings: settings}
	var err error
	if s.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		t.Fatal(err)
	}
	if err := s.init(); err != nil {
		_ = os.RemoveAll(s.dir)
		t.Fatalf("initdb: %v", err)
	}
	if err := s.Start(); err != nil {
		_ = os.RemoveAll(s.dir)
		t.Fatal(err)
	}
	return s
}

// Own is New for one test, which ends it.
func Own(t testing.TB) *Server {
	t.Helper()
	s := New(t)
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) init() error {
	if os.Getuid() == 0 {
		if err := s.unprivileged(); err != nil {
			return err
		}
	}
	passwords := filepath.Join(s.dir, "password")
	if err := os.WriteFile(passwords, []byte(Password+"\n"), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "-D", s.data(), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
		"--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile="+passwords)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (s *Server) unprivileged() error {
	var who *user.User
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			who = u
			break
		}
	}
	if who == nil {
		return errors.New("root must not run PostgreSQL, and there is neither a user postgres nor nobody")
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.dir, int(uid), int(gid))
}

// Start starts the server, again if it was killed, and returns when it takes connections. Its port stays.
func (s *Server) Start() error {
	deadline := time.Now().Add(patience)
	for {
		if s.port == 0 || !s.everRan() {
			port, err := freePort()
			if err != nil {
				return err
			}
			s.port = port
		}
		s.launch()
		err := s.ready(deadline)
		if err == nil {
			return nil
		}
		// The port was taken meanwhile, or processes of the one that was killed are still ending: both pass.
		s.Kill()
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not start: %w\n%s", err, s.Log())
		}
	}
}

// everRan: once clients know the port, it stays.
func (s *Server) everRan() bool { return strings.Contains(s.Log(), "ready to accept connections") }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// launch starts the postmaster from a thread that lives as long as it does: its death signal is that thread's.
func (s *Server) launch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port), "-k", s.dir,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=40", "-c", "shared_buffers=32MB", "-c", "logging_collector=off")
	for _, set := range s.settings {
		cmd.Args = append(cmd.Args, "-c", set)
	}
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGQUIT}
	cmd.Stdout, cmd.Stderr = (*lockedLog)(s), (*lockedLog)(s)
	gone, started := make(chan struct{}), make(chan struct{})
	s.cmd, s.gone = cmd, gone
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(gone)
		err := cmd.Start()
		close(started)
		if err == nil {
			_ = cmd.Wait() // being killed is its fate
		}
	}()
	<-started
}

// lockedLog is the server's log; several goroutines write and read it.
type lockedLog Server

var logMu sync.Mutex

func (l *lockedLog) Write(b []byte) (int, error) {
	logMu.Lock()
	defer logMu.Unlock()
	return l.log.Write(b)
}

// Log returns what the server has written.
func (s *Server) Log() string {
	logMu.Lock()
	defer logMu.Unlock()
	return s.log.String()
}

// ready polls until the server answers, has ended, or the time is up.
func (s *Server) ready(deadline time.Time) error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn, err := pgconn.Connect(ctx, s.SocketURL("postgres"))
		if err == nil {
			err = conn.Close(ctx)
			cancel()
			return err
		}
		cancel()
		select {
		case <-s.gone:
			return fmt.Errorf("it has ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// Kill ends the postmaster and every process of it by SIGKILL, at once, and returns when they are gone.
func (s *Server) Kill() {
	s.mu.Lock()
	cmd, gone := s.cmd, s.gone
	s.mu.Unlock()
	if cmd.Process == nil {
		return
	}
	var children []int // each as a descriptor, which tells of its end
	for _, pid := range childrenOf(cmd.Process.Pid) {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil { // else it is gone
			children = append(children, fd)
		}
	}
	_ = cmd.Process.Kill() // it may be gone already
	for _, fd := range children {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	<-gone
	for _, fd := range children {
		end := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(end, int(patience.Milliseconds())); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		_ = unix.Close(fd)
	}
}

// childrenOf lists the processes whose parent is pid.
func childrenOf(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	var children []int
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// KillBackend ends one session's process by SIGKILL; the server then restarts all of them by itself.
func (s *Server) KillBackend(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

// Stop ends the server and removes its data.
func (s *Server) Stop() {
	s.Kill()
	_ = os.RemoveAll(s.dir) // a scratch folder
}

// Port returns the port on 127.0.0.1.
func (s *Server) Port() int { return s.port }

// SocketURL names a database by way of the Unix socket, where no password is asked for.
func (s *Server) SocketURL(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(s.port)}, "user": {"postgres"}}
	return "postgres:///" + url.PathEscape(database) + "?" + q.Encode()
}

// URL names a database on loopback, without the password.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, url.PathEscape(database))
}

// Exec runs statements in a database, by a connection of its own.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		s.Query(t, database, sql)
	}
}

// Query returns a result as text, a line for each row, cells between |, NULL as <NULL>.
func (s *Server) Query(t testing.TB, database, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.SocketURL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // a scratch connection
	if err := conn.Exec(ctx, "set timezone = 'UTC'").Close(); err != nil {
		t.Fatal(err)
	}
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var out strings.Builder
	for _, r := range results {
		for _, row := range r.Rows {
			for i, cell := range row {
				if i > 0 {
					out.WriteByte('|')
				}
				if cell == nil {
					cell = []byte("<NULL>")
				}
				out.Write(cell)
			}
			out.WriteByte('\n')
		}
	}
	return out.String()
}
