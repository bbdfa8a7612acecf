package daemon_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"durable/daemon/job/noop"
	"durable/ipc/client"
	"durable/ipc/task"
)

var killRounds = flag.Int("kill-rounds", 20, "SIGKILLs at random moments in TestKill; each named point is added once for every 20")

// roundsPerHouse is how many random kills one store goes through before it is drained and checked to the end.
const roundsPerHouse = 20

// TestKill kills a daemon under load with SIGKILL, again and again, at random moments and at every named hook
// point of engine, store and shim, and holds what the daemon answered, what its jobs did and what its store says against
// each other. Nothing that was promised (ARCHITECTURE.md, section 4) may be broken once.
func TestKill(t *testing.T) {
	points := hookPoints(t)
	total := newLedger()
	t.Run("house", func(t *testing.T) {
		for n, left := 0, *killRounds; left > 0; n, left = n+1, left-roundsPerHouse {
			random := min(left, roundsPerHouse)
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				defer total.add(h.ledger)
				h.live(killPlan(points, random))
				h.settle()
			})
		}
	})
	for _, point := range points {
		if total.figures["killed at "+point] == 0 {
			t.Errorf("hook point %s was never killed at", point)
		}
	}
	total.report(t)
}

// add adds another house's figures and breaches.
func (l *ledger) add(other *ledger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	other.mu.Lock()
	defer other.mu.Unlock()
	for name, n := range other.figures {
		l.figures[name] += n
	}
	for kind, found := range other.breaches {
		l.breaches[kind] = append(l.breaches[kind], found...)
	}
}

// killPlan returns the rounds of one house: "" is a random moment, else the point to die at. A store is
// created once, so those points come first, and in the order of the source.
func killPlan(points []string, random int) []string {
	var first, rest []string
	for _, p := range points {
		if strings.HasPrefix(p, "create.") {
			first = append(first, p)
		} else {
			rest = append(rest, p)
		}
	}
	rest = append(rest, make([]string, random)...)
	rand.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return append(first, rest...)
}

// house is a state folder, the daemon that lives there at the moment, and those who use it.
type house struct {
	t      *testing.T
	dir    string
	env    []string // of its daemons
	roomy  []string // of those in which nothing has to wait for a slot
	ledger *ledger
	load   *load
	watch  *watcher
	giveUp context.CancelFunc // ends every request of the load
	audit  chan struct{}      // capacity 1: have a look

	mu   sync.Mutex
	up   chan struct{} // closed when the present daemon takes requests
	down chan struct{} // closed when it has gone; then both are new
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, dir: shortDir(t), env: withShim(t, testSlots), roomy: withShim(t, roomySlots), ledger: newLedger(), audit: make(chan struct{}, 1), up: make(chan struct{}), down: make(chan struct{})}
	out := t.TempDir()
	rows := makeRows(3000)
	ctx, giveUp := context.WithCancel(t.Context())
	h.giveUp = giveUp
	h.load = &load{
		dir: h.dir, out: out, source: filepath.Join(out, "source.csv"), rows: rows, ledger: h.ledger,
		witness: newWitness(t, filepath.Join(out, "witness")), present: h.present, ctx: ctx, stop: make(chan struct{}),
	}
	writeCSV(t, h.load.source, rows)
	return h
}

// roomySlots are more than the load has tasks under way. A submit begins at once then, in its own commit; with testSlots nearly all are
// left to the scheduler.
const roomySlots = 1000

// daemonEnv is the environment of a daemon that is to die at point; "" is a random moment.
func (h *house) daemonEnv(point string) []string {
	if point == "submit.begun" || point == "" && chance(50) {
		return h.roomy
	}
	return h.env
}

// present returns a function that waits for a daemon after the one of now: to call when a request has failed.
func (h *house) present() (again func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	up, down := h.up, h.down
	return func(ctx context.Context) {
		select {
		case <-up: // it was up, and did not answer: it dies
			await(ctx, down)
		default:
		}
		h.mu.Lock()
		up := h.up
		h.mu.Unlock()
		await(ctx, up)
	}
}

func await(ctx context.Context, ch <-chan struct{}) {
	select {
	case <-ch:
	case <-ctx.Done():
	}
}

// ready waits for the daemon and lets the clients know. It reports false if it died before.
func (h *house) ready(p *process) bool {
	if !p.awaitReady() {
		return false
	}
	h.mu.Lock()
	close(h.up)
	h.mu.Unlock()
	select {
	case h.audit <- struct{}{}:
	default:
	}
	return true
}

// buried notes that the daemon has gone.
func (h *house) buried(p *process) {
	h.mu.Lock()
	close(h.down)
	h.down = make(chan struct{})
	select {
	case <-h.up:
		h.up = make(chan struct{})
	default:
	}
	h.mu.Unlock()
	if err := h.load.witness.say("- 0 %d dead", p.pid()); err != nil {
		h.t.Errorf("witness: %v", err)
	}
	h.ledger.count("kills", 1)
}

// live goes through the rounds of plan with the load on.
func (h *house) live(plan []string) {
	h.load.run()
	h.watch = watch(h.t.Context(), h.dir, h.ledger)
	stop := h.auditor()
	defer stop()
	for _, point := range plan {
		if point == "" {
			h.killAtRandom()
		} else {
			h.killAtPoint(point)
		}
	}
}

// auditor holds the whole list against the ledger, once after each start, whatever happens meanwhile.
func (h *house) auditor() (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	c := dial(h.dir, client.Options{DialRetry: client.Forever})
	go func() {
		defer close(done)
		defer closeClient(c)
		for {
			select {
			case <-ctx.Done():
				return
			case <-h.audit:
			}
			if _, err := h.ledger.audit(ctx, c); err != nil && ctx.Err() == nil {
				h.ledger.breach(breachUnwelcome, "list: %v", err)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// killAtRandom kills the daemon at any moment of its life, its start included.
func (h *house) killAtRandom() {
	p := start(h.t, h.dir, "", h.daemonEnv("")...)
	if chance(15) {
		h.pause(p, 60)
	} else if h.ready(p) {
		h.pause(p, 350)
	}
	select {
	case <-p.exited:
		h.t.Errorf("the daemon left by itself (%v):\n%s", p.err, p.stderr.String())
	default:
	}
	p.kill()
	h.buried(p)
	h.ledger.count("killed at a random moment", 1)
}

// pause lets the daemon live for a random time.
func (h *house) pause(p *process, ms int) {
	select {
	case <-time.After(time.Duration(rand.IntN(ms)) * time.Millisecond):
	case <-p.exited:
	}
}

// killAtPoint lets the daemon die at a named point: the first time that it gets there, or some time later.
func (h *house) killAtPoint(point string) {
	after := 0
	if chance(60) && !strings.HasPrefix(point, "create.") && !strings.HasPrefix(point, "recover.") {
		after = rand.IntN(300)
	}
	p := start(h.t, h.dir, fmt.Sprintf("%s:%d", point, after), h.daemonEnv(point)...)
	h.ready(p)
	select {
	case <-p.exited:
	case <-time.After(patience):
		h.t.Errorf("the daemon did not pass %s in %s", point, patience)
		p.kill()
	}
	if p.point == point {
		h.ledger.count("killed at "+point, 1)
	} else {
		h.t.Errorf("the daemon was to die at %s, and died by itself (%v):\n%s", point, p.err, p.stderr.String())
	}
	h.buried(p)
}

// settle lets everything come to its end and checks all of it.
func (h *house) settle() {
	p := start(h.t, h.dir, "", h.env...)
	if !h.ready(p) {
		h.t.Fatalf("the daemon does not start any more (%v):\n%s", p.err, p.stderr.String())
	}
	defer time.AfterFunc(5*patience, h.giveUp).Stop() // a task that never ends must not hang the test
	h.load.finish()
	c := dial(h.dir, client.Options{})
	defer closeClient(c)
	for _, e := range h.ledger.all() {
		if e.end == nil {
			h.load.wait(c, e)
		}
	}
	h.watch.finish(h.t, c, noop.Params{Witness: h.load.witness.path})
	tasks, err := h.ledger.audit(h.t.Context(), c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.watch.check(tasks)
	h.checkEnds(tasks)
	h.checkWitness(tasks)
	p.stop(h.dir)
	h.prune()
	checkStore(h.t, h.dir)
	h.ledger.count("tasks at the end", len(tasks))
}

// checkEnds: every task has ended, as it must.
func (h *house) checkEnds(tasks map[task.ID]task.Task) {
	for id, t := range tasks {
		if !t.Status.Terminal() {
			h.ledger.breach(breachLost, "task %s never ended: %s (%s), %s", id, t.Status, t.Phase, t.Reason)
		}
		h.ledger.count("ended "+string(t.Status), 1)
	}
	for _, e := range h.ledger.all() {
		t, there := tasks[e.id]
		if !there {
			continue
		}
		if e.cancelled && t.Status != task.StatusCancelled {
			h.ledger.breach(breachCancel, "task %s ended %s", e.id, t.Status)
		}
		if e.rows == nil || t.Status == task.StatusCancelled {
			continue
		}
		h.ledger.count("migrations completed", 1)
		if t.Attempt > 1 {
			h.ledger.count("migrations completed after an interruption", 1)
		}
		if t.Status != task.StatusCompleted {
			h.ledger.breach(breachData, "migration %s ended %s: %v", e.id, t.Status, t.Error)
		} else if err := sameRows(e.path, e.rows); err != nil {
			h.ledger.breach(breachData, "migration %s: %v", e.id, err)
		}
	}
}

// checkWitness holds what the jobs wrote against what the records say.
func (h *house) checkWitness(tasks map[task.ID]task.Task) {
	seen, breaches := judge(h.load.witness.read(h.t))
	for _, b := range breaches {
		kind := breachOverlap
		if strings.HasSuffix(b, afterCancel) {
			kind = breachCancel
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(b, "task "), ":")
		h.ledger.breach(kind, "%s; the witness:\n%s", b, h.load.witness.about(h.t, id))
	}
	h.checkCommands(tasks, seen)
	for _, e := range h.ledger.all() {
		w := seen[string(e.id)]
		if w != nil {
			h.ledger.count("attempts witnessed", w.begun)
		}
		if e.end == nil || e.rows != nil || e.end.Status != task.StatusCompleted {
			continue
		}
		if w == nil || w.ended != e.steps {
			h.ledger.breach(breachUnseen, "task %s: %+v, want %d steps", e.id, w, e.steps)
		}
	}
}

// checkStore opens the store of a daemon that has left and checks every page of it.
func checkStore(t testing.TB, dir string) {
	t.Helper()
	if _, err := os.Stat(storeFile(dir)); err != nil {
		t.Error(err)
		return
	}
	db, err := bbolt.Open(storeFile(dir), 0o600, &bbolt.Options{ReadOnly: true, Timeout: patience})
	if err != nil {
		t.Errorf("open store: %v", err)
		return
	}
	defer func() { _ = db.Close() }()
	if err := db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("store: %v", err)
		}
		return nil
	}); err != nil {
		t.Errorf("store: %v", err)
	}
}
