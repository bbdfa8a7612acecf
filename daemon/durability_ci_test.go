//go:build linux && ci

package daemon_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
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
	// strace counts by thread, and the Go runtime moves the committer between threads: which sync of all is the n-th of
	// its thread is another one each time. So it is done over and over.
	const passes = 12
	hit, total, runs := map[int]bool{}, 0, 0
	for range passes {
		for n := 1; ; n++ {
			if n > 200 {
				t.Fatal("200 syncs of one thread and no end")
			}
			at, syncs := failSync(t, n)
			runs++
			if at == 0 {
				total = syncs
				break
			}
			hit[at] = true
		}
	}
	t.Logf("%d of %d syncs were failed, in %d runs", len(hit), total, runs)
	if len(hit) < total*3/4 {
		t.Errorf("only %d of %d syncs were failed", len(hit), total)
	}
}

// failSync lets the n-th sync of a thread fail and returns which one of the whole run that was, 0 for none, and how
// many there were.
func failSync(t *testing.T, n int) (at, syncs int) {
	t.Helper()
	dir := shortDir(t)
	log := filepath.Join(t.TempDir(), "trace")
	p := durabled(t, dir, "-o", log, "-e", "trace=fdatasync,fsync", "-e", fmt.Sprintf("inject=fdatasync,fsync:error=EIO:when=%d", n))
	book := newLedger()
	if p.listens(dir) {
		eioLoad(t, dir, book)
	}
	status := p.wait()
	for _, call := range readTrace(t, log) {
		if call.isSync() {
			syncs++
			if call.injected && at == 0 {
				at = syncs
			}
		}
	}
	if at > 0 && status == 0 {
		t.Errorf("sync %d failed, and the daemon left with status 0:\n%s", at, p.stderr.String())
	}
	if at == 0 && status != 0 {
		t.Errorf("nothing failed, and the daemon left with status %d:\n%s", status, p.stderr.String())
	}
	reopen(t, dir, book, at)
	return at, syncs
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
func reopen(t *testing.T, dir string, book *ledger, at int) {
	t.Helper()
	p := durabled(t, dir)
	if !p.listens(dir) {
		t.Fatalf("after sync %d had failed the daemon does not start any more:\n%s", at, p.stderr.String())
	}
	c := dial(dir, client.Options{})
	defer closeClient(c)
	for _, e := range book.all() { // the keys of those that got no answer, too
		made, err := c.Submit(t.Context(), e.spec, e.key)
		if err != nil {
			t.Errorf("sync %d: submit again: %v", at, err)
			continue
		}
		book.submitted(e, made.ID)
		done, err := c.Wait(t.Context(), made.ID.Ref(), patience)
		if err != nil || done.Status != task.StatusCompleted {
			t.Errorf("sync %d: task %s is %s: %v", at, made.ID, done.Status, err)
		}
		book.see(e, done)
	}
	if _, err := book.audit(t.Context(), c); err != nil {
		t.Error(err)
	}
	for kind, found := range book.breaches {
		t.Errorf("sync %d: %s: %s", at, kind, found[0])
	}
	p.stop(dir)
	checkStore(t, dir)
}
