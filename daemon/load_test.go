package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"durable/daemon/job/migration"
	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/task"
)

// load is a crowd of clients that use one daemon as people and programs do, whatever becomes of it.
type load struct {
	dir     string // the daemon's
	out     string // where migrations write
	source  string // the migrations' CSV
	rows    [][]string
	ledger  *ledger
	witness *witness
	present func() func(context.Context) // see house.present
	ctx     context.Context              // of all requests: ends with the test only
	stop    chan struct{}                // closed: finish what is under way, begin nothing new
	group   sync.WaitGroup
}

// crowd is how many clients submit no-ops, movers how many migrations run side by side. Some of the crowd rely on
// the client's own patience, as programs do; the others see each failure, repeat by themselves, and are back at
// once, which makes for more requests under way when the next kill comes.
const (
	crowd   = 12
	patient = 3
	movers  = 2
	// runners start commands side by side: every second one as a model would, whom a person has to allow it.
	runners = 2
	// outstanding is how many unfinished tasks one client leaves behind before it waits for the oldest.
	outstanding = 10
)

func (l *load) run() {
	for i := range crowd {
		o := client.Options{DialRetry: client.Never, Reconnect: client.Never}
		if i < patient {
			o = client.Options{DialRetry: client.Forever, Reconnect: client.Forever}
		}
		l.group.Go(func() { l.client(o, l.noop) })
	}
	for range movers {
		l.group.Go(func() { l.client(client.Options{DialRetry: client.Never, Reconnect: client.Never}, l.migration) })
	}
	for i := range runners {
		o := client.Options{DialRetry: client.Never, Reconnect: client.Never, Via: task.ViaCLI}
		if i%2 == 1 {
			o.Via = task.ViaMCP
		}
		if hasShell {
			l.group.Go(func() { l.client(o, l.command) })
		}
	}
}

// finish lets every client end what it has begun.
func (l *load) finish() {
	close(l.stop)
	l.group.Wait()
}

// client is one client's life: submit, perhaps cancel, wait, perhaps retry or forget.
func (l *load) client(o client.Options, next func() *entry) {
	c := dial(l.dir, o)
	defer closeClient(c)
	var open []*entry
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		e := l.ledger.plan(next())
		l.submit(c, e)
		if o.Via == task.ViaMCP && chance(80) { // others wait: for the cancel, or for wait
			l.approve(c, e)
		}
		if chance(25) || e.spec.Kind == stubbornName && chance(50) {
			l.cancel(c, e)
		}
		open = append(open, e)
		if len(open) < outstanding && e.rows == nil {
			continue
		}
		e, open = open[0], open[1:]
		if l.wait(c, e) {
			l.afterwards(c, e)
		}
	}
}

func chance(percent int) bool { return rand.IntN(100) < percent }

// noop plans a no-op: at once, deaf to cancels, checkpointing, long, failing, panicking.
func (l *load) noop() *entry {
	p := noop.Params{Witness: l.witness.path}
	var retry *task.Retry
	kind := noop.Name
	switch n := rand.IntN(100); {
	case n < 25:
	case n < 40:
		kind = stubbornName
		p.Steps, p.Checkpoint, p.Duration = 3, true, task.Duration(300*time.Millisecond)
	case n < 75:
		p.Steps, p.Checkpoint = 2+rand.IntN(8), true
		p.Duration = task.Duration(time.Duration(rand.IntN(100)) * time.Millisecond)
	case n < 79:
		p.Steps, p.Checkpoint, p.Duration = 20, true, task.Duration(time.Second)
	case n < 93:
		p.Fail = "no luck"
		retry = &task.Retry{MaxAttempts: 3, Backoff: task.Duration(5 * time.Millisecond), MaxBackoff: task.Duration(20 * time.Millisecond)}
	default:
		p.Panic = "on purpose"
	}
	return &entry{spec: task.Spec{Kind: kind, Params: mustJSON(p), Retry: retry}, steps: p.Steps}
}

// migration plans a migration of the CSV into a file of its own.
func (l *load) migration() *entry {
	path := filepath.Join(l.out, fmt.Sprintf("%016x", rand.Uint64()))
	if chance(50) {
		path += ".jsonl"
	} else {
		path += ".db"
	}
	return &entry{rows: l.rows, path: path, spec: migrationSpec(l.source, path, 100)}
}

// migrationSpec is a migration of a CSV file into SQLite or JSON Lines.
func migrationSpec(source, path string, batch int) task.Spec {
	params := map[string]any{"source_path": source, "destination_path": path, "batch_size": batch}
	if filepath.Ext(path) == ".db" {
		params["destination_table"] = table
	}
	return task.Spec{Kind: migrationKind, Params: mustJSON(params)}
}

var migrationKind = migration.New().Describe().Name

func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// insist calls try until it succeeds or fails for a reason that is not the daemon's death.
func (l *load) insist(try func() (task.Task, error)) (task.Task, error) {
	for {
		again := l.present()
		t, err := try()
		if err == nil || !errors.Is(err, task.Unavailable) || l.ctx.Err() != nil {
			return t, err
		}
		l.ledger.count("requests repeated after a failure", 1)
		again(l.ctx)
	}
}

// submit submits e under its key until that is acknowledged; now and then twice at the same time, and once more later.
func (l *load) submit(c *client.Client, e *entry) {
	once := func() {
		t, err := l.insist(func() (task.Task, error) {
			if e.retryOf != nil {
				return c.Retry(l.ctx, e.retryOf.id.Ref(), task.RetryRequest{}, e.key)
			}
			return c.Submit(l.ctx, e.spec, e.key)
		})
		if err != nil {
			l.ledger.breach(breachUnwelcome, "submit %s: %v", e.key, err)
			return
		}
		l.ledger.submitted(e, t.ID)
	}
	if chance(20) {
		twin := make(chan struct{})
		go func() {
			defer close(twin)
			once()
		}()
		defer func() { <-twin }()
	}
	once()
	if chance(10) {
		once()
	}
}

// cancel cancels e, at once or a moment later. A task that has ended may refuse.
func (l *load) cancel(c *client.Client, e *entry) {
	if e.id == "" {
		return
	}
	if chance(50) { // let it get somewhere first: the moment is what is random here, not the order
		if t, err := l.insist(func() (task.Task, error) {
			return c.Wait(l.ctx, e.id.Ref(), time.Duration(rand.IntN(60))*time.Millisecond)
		}); err == nil {
			l.ledger.see(e, t)
		}
	}
	key := task.Key("cancel-" + string(e.key))
	t, err := l.insist(func() (task.Task, error) {
		return c.Cancel(l.ctx, e.id.Ref(), task.CancelRequest{Reason: "test"}, key)
	})
	switch {
	case errors.Is(err, task.FailedPrecondition): // it has ended
	case err != nil:
		l.ledger.breach(breachUnwelcome, "cancel %s: %v", e.id, err)
	default:
		l.ledger.cancelled(e, t)
		if err := l.witness.say("%s %d 0 cancelled", e.id, t.Attempt); err != nil {
			l.ledger.breach(breachUnwelcome, "witness: %v", err)
		}
	}
}

// wait waits for e's end. A task that the daemon holds after three crashes in a row is let go on.
func (l *load) wait(c *client.Client, e *entry) bool {
	if e.id == "" {
		return false
	}
	for {
		t, err := l.insist(func() (task.Task, error) { return c.Wait(l.ctx, e.id.Ref(), 500*time.Millisecond) })
		if err != nil {
			kind := breachUnwelcome
			if errors.Is(err, task.NotFound) {
				kind = breachLost
			}
			l.ledger.breach(kind, "wait for %s: %v", e.id, err)
			return false
		}
		l.ledger.see(e, t)
		if t.Status.Terminal() {
			return true
		}
		if t.Phase == task.PhaseAwaitingApproval {
			l.approve(c, e)
		}
		l.resume(c, t)
	}
}

// resume lets a task go on that the daemon holds because it was interrupted three times in a row.
func (l *load) resume(c *client.Client, t task.Task) {
	if t.Phase != task.PhasePaused {
		return
	}
	if t.Reason != task.ReasonCrashLoop {
		l.ledger.breach(breachUnwelcome, "task %s is paused: %q", t.ID, t.Reason)
	}
	l.ledger.count("crash loops resumed", 1)
	key := task.Key(fmt.Sprintf("resume-%s-%d", t.ID, t.Attempt))
	if _, err := l.insist(func() (task.Task, error) { return c.Resume(l.ctx, t.ID.Ref(), key) }); err != nil && !errors.Is(err, task.FailedPrecondition) {
		l.ledger.breach(breachUnwelcome, "resume %s: %v", t.ID, err)
	}
}

// afterwards retries or forgets some of what has ended. A retry has an entry of its own and is waited for.
func (l *load) afterwards(c *client.Client, e *entry) {
	l.readSaid(c, e)
	switch {
	case e.end.Status != task.StatusCompleted && chance(40):
		again := l.ledger.plan(&entry{spec: e.spec, retryOf: e, rows: e.rows, path: e.path, steps: e.steps, always: e.always})
		l.submit(c, again)
		l.ledger.count("retries", 1)
		l.wait(c, again)
	case e.rows == nil && chance(25):
		l.forget(c, e)
	}
}

// forget removes e. Its key stays used: the same submit must not bring it back.
func (l *load) forget(c *client.Client, e *entry) {
	l.ledger.forgetting(e, true)
	asked := 0
	_, err := l.insist(func() (task.Task, error) {
		asked++
		return task.Task{}, c.Forget(l.ctx, e.id.Ref())
	})
	switch {
	case errors.Is(err, task.FailedPrecondition): // still being cleaned up
		l.ledger.forgetting(e, false)
		return
	case err != nil && (!errors.Is(err, task.NotFound) || asked == 1):
		l.ledger.breach(breachUnwelcome, "forget %s: %v", e.id, err)
		return
	}
	l.ledger.forgotten(e)
	t, err := l.insist(func() (task.Task, error) { return c.Submit(l.ctx, e.spec, e.key) })
	if !errors.Is(err, task.FailedPrecondition) {
		l.ledger.breach(breachReturned, "submit under the key of the forgotten task %s: task %q, %v", e.id, t.ID, err)
	}
}
