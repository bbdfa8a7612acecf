// Package bench measures a daemon over its real socket: how long an acknowledged submit takes, how soon a task
// runs, how soon a watcher hears of it.
//
// # Design
//
// Each figure stands beside what it has to be held against, measured in the same run: the daemon beside a bare HTTP
// handler over the same committer (durabled bench-floor), a full store beside an empty one, all of them beside
// what one fdatasync takes in that folder. The servers take turns in short windows, so that whatever else the machine does
// hits all of them, and medians over the rounds are printed.
//
// Submits are a closed loop: each client sends its next one when the last is answered. Pick-up and watch
// latency are an open loop: submits leave at fixed times whether or not the one before was answered, and count from
// the time at which they should have left, so that a stall is seen by all that it delays. Percentiles come from the
// sorted samples; there are thousands, not millions. Rejected: vegeta, hey and wrk (no Unix sockets, or none
// of our own events), HDR histograms (a sort is exact), and limits that fail the run: a benchmark on a busy machine
// would say nothing about the program.
//
// The load generator is the same for daemon and bare handler: net/http's requests and answers on a connection for each client, in
// the client's own goroutine. It is there to measure the server, whose processors it shares. Rejected: http.Transport, whose two
// goroutines for each connection took 50 µs of a submit of 650. Only the watcher is ipc/client's.
package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"durable/cmd/durablectl/internal/sandbox"
	"durable/ipc/task"
)

// Limits and defaults of the options.
const (
	DefaultDuration = time.Second
	MinDuration     = 50 * time.Millisecond
	MaxDuration     = 10 * time.Minute
	MaxClients      = 1024
	MaxTasks        = 10_000_000
	DefaultRounds   = 3
	MaxRounds       = 100
)

// DefaultClients are the numbers of clients that submits are measured with.
var DefaultClients = []int{1, 16, 64}

// Options of a run.
type Options struct {
	// Dir is where the folder for it is made; empty: where temporary files go. It decides the disk.
	Dir string
	// Duration is the length of one window; the open loop takes five of them, spread over the rounds.
	Duration time.Duration
	Clients  []int
	// Tasks, if greater than 0, adds a second daemon, whose store holds so many finished tasks.
	Tasks int
	// Rounds is how often each server has its turn.
	Rounds int
	// Say, if set, is told what comes next.
	Say func(format string, args ...any)
}

func (o Options) check() error {
	bad := func(format string, args ...any) error { return task.Errorf(task.InvalidArgument, format, args...) }
	switch {
	case o.Duration < MinDuration || o.Duration > MaxDuration:
		return bad("--duration %s: want %s to %s", o.Duration, MinDuration, MaxDuration)
	case o.Tasks < 0 || o.Tasks > MaxTasks:
		return bad("--tasks %d: want 0 to %d", o.Tasks, MaxTasks)
	case o.Rounds < 1 || o.Rounds > MaxRounds:
		return bad("--rounds %d: want 1 to %d", o.Rounds, MaxRounds)
	case len(o.Clients) == 0:
		return bad("--clients: at least one number is wanted")
	}
	for _, n := range o.Clients {
		if n < 1 || n > MaxClients {
			return bad("--clients %d: want 1 to %d", n, MaxClients)
		}
	}
	return nil
}

// openLoop is how many windows the open loop takes in all.
const openLoop = 5

// bench is one run.
type bench struct {
	Options
	box     *sandbox.Sandbox
	daemons []*server // the empty one, and the full one if there is one
	floor   *server
}

// Run measures, and returns what it found. It leaves nothing behind.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	box, err := sandbox.New(o.Dir)
	if err != nil {
		return nil, err
	}
	b := &bench{Options: o, box: box}
	defer func() {
		b.stop()
		if rmErr := os.RemoveAll(box.Dir); rmErr != nil {
			err = errors.Join(err, task.Errorf(task.Internal, "clean up: %w", rmErr))
		}
	}()
	if err := b.start(ctx); err != nil {
		return nil, err
	}
	return b.measure(ctx)
}

func (b *bench) start(ctx context.Context) (err error) {
	if b.floor, err = startFloor(ctx, b.box); err != nil {
		return err
	}
	stores := []string{"empty"}
	if b.Tasks > 0 {
		stores = append(stores, "full")
	}
	for _, name := range stores {
		d, err := startDaemon(ctx, b.box, name)
		if err != nil {
			return err
		}
		b.daemons = append(b.daemons, d)
	}
	return nil
}

func (b *bench) stop() {
	for _, s := range append(b.daemons, b.floor) {
		if s != nil {
			s.stop()
		}
	}
}

// measure goes from what leaves the least behind to what leaves the most: the open loop adds a thousand
// finished tasks, the submits to a held queue a hundred thousand waiting ones.
func (b *bench) measure(ctx context.Context) (*Report, error) {
	r := newReport(b)
	if b.Tasks > 0 {
		b.Say("fill a store with %d finished tasks", b.Tasks)
		fill, err := b.daemons[1].fill(ctx, b.Tasks)
		if err != nil {
			return nil, err
		}
		r.Fill = &fill
	}
	for _, step := range []func(context.Context, *Report) error{b.latencies, b.throughput, b.submits, b.syncs} {
		if err := step(ctx, r); err != nil {
			return nil, err
		}
	}
	r.conclude()
	return r, nil
}

// latencies measures pick-up and watch.
func (b *bench) latencies(ctx context.Context, r *Report) error {
	seen := make([]watcher, len(b.daemons))
	for i, d := range b.daemons {
		var err error
		if r.Stores[i].RssAnon, err = rssAnon(d.pid()); err != nil {
			return err
		}
	}
	for round := range b.Rounds {
		for i, d := range b.daemons {
			b.Say("pick-up and watch, %d submits a second, %s store, round %d", openLoopRate, d.name, round+1)
			w, err := d.openLoop(ctx, openLoop*b.Duration/time.Duration(b.Rounds))
			if err != nil {
				return err
			}
			seen[i].pickup = append(seen[i].pickup, w.pickup...)
			seen[i].watch = append(seen[i].watch, w.watch...)
		}
	}
	for i, store := range r.Stores {
		store.Pickup, store.Watch = latency(seen[i].pickup), latency(seen[i].watch)
	}
	return nil
}

// throughput measures submit to completed.
func (b *bench) throughput(ctx context.Context, r *Report) error {
	rates := make([][]float64, len(b.daemons))
	for round := range b.Rounds {
		for i, d := range b.daemons {
			b.Say("submit to completed, %s store, round %d", d.name, round+1)
			rate, err := d.complete(ctx, b.Duration)
			if err != nil {
				return err
			}
			rates[i] = append(rates[i], rate)
		}
	}
	for i := range b.daemons {
		r.Stores[i].CompletedPerSecond = median(rates[i])
	}
	return nil
}

// submits measures acknowledged submits with the queue held, the servers in turns.
func (b *bench) submits(ctx context.Context, r *Report) error {
	for _, d := range b.daemons {
		if err := d.hold(ctx); err != nil {
			return err
		}
	}
	for _, clients := range b.Clients {
		rounds := make([][]Load, len(b.daemons)+1) // the floor is the last
		for round := range b.Rounds {
			b.Say("acknowledged submits, clients: %d, round %d", clients, round+1)
			if err := r.sample(b.box, b.Duration/4); err != nil {
				return err
			}
			for i, s := range append(b.daemons[:len(b.daemons):len(b.daemons)], b.floor) {
				load, err := s.submit(ctx, clients, b.Duration)
				if err != nil {
					return err
				}
				rounds[i] = append(rounds[i], load)
			}
		}
		for i := range b.daemons {
			r.Stores[i].Submit = append(r.Stores[i].Submit, compare(clients, rounds[i], rounds[len(b.daemons)]))
		}
	}
	return nil
}

// syncs ends the run: the figure is that of the whole of it.
func (b *bench) syncs(_ context.Context, r *Report) error {
	if err := r.sample(b.box, b.Duration/4); err != nil {
		return err
	}
	r.Sync = latency(r.syncs)
	for i, d := range b.daemons {
		loaded, err := rssAnon(d.pid())
		if err != nil {
			return err
		}
		r.Stores[i].RssAnonLoaded = loaded
	}
	return nil
}
