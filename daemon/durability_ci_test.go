//go:build linux && ci

package daemon_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/task"
)

// TestCISyncBeforeReply: SIGKILL cannot see a missing fsync, since the kernel keeps what was written. strace can:
// between a submit's request and its reply lie both syncs of a commit, and in a sequence of single submits
// nothing was written to the store between the last sync and the reply.
func TestCISyncBeforeReply(t *testing.T) {
	const single, callers, each = 50, 16, 20
	dir := shortDir(t)
	log := filepath.Join(t.TempDir(), "trace")
	p := durabled(t, dir, "-o", log, "-e", "trace=read,write,fdatasync,fsync,pwrite64,writev")
	if !p.listens(dir) {
		t.Fatalf("the daemon has gone:\n%s", p.stderr.String())
	}
	c := dial(dir, client.Options{})
	defer closeClient(c)
	if _, err := c.Drain(t.Context(), task.DrainRequest{}); err != nil { // no other commits than the submits'
		t.Fatal(err)
	}
	submit := func() {
		if _, err := c.Submit(t.Context(), noopFor(0), ""); err != nil {
			t.Errorf("submit: %v", err)
		}
	}
	for range single {
		submit()
	}
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range each {
				submit()
			}
		})
	}
	group.Wait()
	p.stop(dir)
	replies := checkReplies(t, readTrace(t, log), single)
	if want := single + callers*each; replies != want {
		t.Errorf("%d submits and their replies are in the trace, want %d", replies, want)
	}
	t.Logf("%d submits: each reply after two syncs that began after its request", replies)
}

// submitRead is the beginning of a submit; net/http reads the first byte of a request by itself when the
// connection was used before.
var submitRead = regexp.MustCompile(`^, *"P?OST /v1/tasks HTTP`)

// checkReplies pairs requests and replies by connection. The first alone ones had the store for themselves.
func checkReplies(t *testing.T, calls []syscallEvent, alone int) (replies int) {
	t.Helper()
	waiting := map[string]syscallEvent{}
	for i, call := range calls {
		switch {
		case call.name == "read" && submitRead.MatchString(call.text):
			waiting[call.file] = call
		case call.name == "write" && strings.HasPrefix(strings.TrimPrefix(call.text, ", "), `"HTTP/1.1 20`):
			request, ok := waiting[call.file]
			if !ok {
				continue // of another request
			}
			delete(waiting, call.file)
			replies++
			syncs, loose := between(calls[:i], request.end, call.begin)
			if syncs < 2 {
				t.Errorf("reply %d: %d syncs of the store between request and reply, want 2", replies, syncs)
			}
			if replies <= alone && loose {
				t.Errorf("reply %d: written to the store, not synced, replied", replies)
			}
		}
	}
	return replies
}

// between counts the good syncs of the store within a part of the trace, and tells whether the last
// write came after the last sync.
func between(calls []syscallEvent, from, to int) (syncs int, loose bool) {
	lastWrite, lastSync := -1, -1
	for _, c := range calls {
		switch {
		case !c.onStore() || c.begin < from || c.end > to:
		case c.isSync() && c.ok:
			syncs++
			lastSync = max(lastSync, c.begin)
		case c.name == "pwrite64":
			lastWrite = max(lastWrite, c.end)
		}
	}
	return syncs, lastWrite > lastSync
}

// TestCIEIO lets each sync of a daemon's life fail in turn, from the creation of the store to its close. The
// daemon answers "outcome unknown" or nothing, leaves with a non-zero status, and what it had acknowledged is there
// when the file is opened again; what it had not may be.
func TestCIEIO(t *testing.T) {
	// A life in which commits were shared by chance has fewer syncs than another: the shortest has those that all have.
	all := failSync(t, "", 0).seen
	for range 4 {
		if other := failSync(t, "", 0).seen; len(other) < len(all) {
			all = other
		}
	}
	// strace counts by thread, and the Go runtime moves the committer between threads: which sync of a file is the n-th of
	// its thread is another one each time. So it is done over and over: at least so many times, and more often if luck was bad.
	const passes, most = 8, 40
	hit, runs := map[string]bool{}, 0
	for pass := 0; len(missing(all, hit)) > 0 && (pass < passes || pass < most && len(missing(all, hit)) > len(all)/10); pass++ {
		for _, file := range filesOf(all) {
			for n := 1; n <= len(all); n++ {
				runs++
				failed := failSync(t, file, n).failed
				if failed == "" {
					break
				}
				hit[failed] = true
			}
		}
	}
	missed := missing(all, hit)
	t.Logf("%d of %d syncs were failed, in %d runs; not: %v", len(all)-len(missed), len(all), runs, missed)
	if len(missed) > len(all)/10 {
		t.Error("too many syncs were never failed")
	}
}

// missing returns the names that were not hit.
func missing(names []string, hit map[string]bool) (missed []string) {
	for _, name := range names {
		if !hit[name] {
			missed = append(missed, name)
		}
	}
	return missed
}

// synced is what a trace of one daemon's life says of its syncs; each is named by its file and its place among those of
// that file.
type synced struct {
	seen   []string
	failed string // the first that was injected; empty: none
}

// filesOf returns the files of syncs, each once.
func filesOf(syncs []string) (files []string) {
	for _, name := range syncs {
		if file, _, _ := strings.Cut(name, "#"); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// failSync lets the n-th sync of that file by one thread fail, 0 for none, and checks what becomes of the daemon and
// of its store.
func failSync(t *testing.T, file string, n int) (s synced) {
	t.Helper()
	dir := shortDir(t)
	log := filepath.Join(t.TempDir(), "trace")
	args := []string{"-o", log, "-e", "trace=fdatasync,fsync"}
	if n > 0 {
		args = append(args, "-P", filepath.Join(dir, file), "-e", fmt.Sprintf("inject=fdatasync,fsync:error=EIO:when=%d", n))
	}
	p := durabled(t, dir, args...)
	book := newLedger()
	if p.listens(dir) {
		eioLoad(t, dir, book)
	}
	status := p.wait()
	counts := map[string]int{}
	for _, call := range readTrace(t, log) {
		if !call.isSync() {
			continue
		}
		_, path, _ := strings.Cut(call.file, ":")
		name := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/")
		counts[name]++
		name = fmt.Sprintf("%s#%d", name, counts[name])
		s.seen = append(s.seen, name)
		if call.injected && s.failed == "" {
			s.failed = name
		}
	}
	if failed := s.failed != ""; failed != (status != 0) {
		t.Errorf("sync that failed: %q, and the daemon left with status %d:\n%s", s.failed, status, p.stderr.String())
	}
	reopen(t, dir, book, s.failed)
	return s
}

// eioLoad submits until something fails, and ends the daemon if nothing does.
func eioLoad(t *testing.T, dir string, book *ledger) {
	t.Helper()
	c := dial(dir, client.Options{DialRetry: client.Never, Reconnect: client.Never})
	defer closeClient(c)
	for range 4 {
		e := book.plan(&entry{spec: noopSpec(noop.Params{Steps: 2, Checkpoint: true})})
		made, err := c.Submit(t.Context(), e.spec, e.key)
		if err != nil {
			if !errors.Is(err, task.Unavailable) {
				t.Errorf("submit: %v, want unavailable", err)
			}
			return
		}
		book.submitted(e, made.ID)
		done, err := c.Wait(t.Context(), made.ID.Ref(), patience)
		if err != nil {
			if !errors.Is(err, task.Unavailable) {
				t.Errorf("wait: %v, want unavailable", err)
			}
			return
		}
		book.see(e, done)
	}
	if err := c.Shutdown(t.Context(), task.ShutdownRequest{Restart: true}); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// reopen starts a daemon that nothing happens to, and holds its store against the book.
func reopen(t *testing.T, dir string, book *ledger, at string) {
	t.Helper()
	p := durabled(t, dir)
	if !p.listens(dir) {
		t.Fatalf("after sync %q had failed the daemon does not start any more:\n%s", at, p.stderr.String())
	}
	c := dial(dir, client.Options{})
	defer closeClient(c)
	for _, e := range book.all() { // the keys of those that got no answer, too
		made, err := c.Submit(t.Context(), e.spec, e.key)
		if err != nil {
			t.Errorf("sync %q: submit again: %v", at, err)
			continue
		}
		book.submitted(e, made.ID)
		done, err := c.Wait(t.Context(), made.ID.Ref(), patience)
		if err != nil || done.Status != task.StatusCompleted {
			t.Errorf("sync %q: task %s is %s: %v", at, made.ID, done.Status, err)
		}
		book.see(e, done)
	}
	if _, err := book.audit(t.Context(), c); err != nil {
		t.Error(err)
	}
	for kind, found := range book.breaches {
		t.Errorf("sync %q: %s: %s", at, kind, found[0])
	}
	p.stop(dir)
	checkStore(t, dir)
}
