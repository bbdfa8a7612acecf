package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"durable/cmd/durablectl/internal/sandbox"
	"durable/ipc/task"
)

// Report is what a run found. Its JSON is for scripts: fields may be added, never changed.
type Report struct {
	Version string `json:"version"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	CPUs    int    `json:"cpus"`
	Dir     string `json:"dir"`
	Window  string `json:"window"`
	Rounds  int    `json:"rounds"`
	// SyncCall is what Sync measures: one write of a page and this.
	SyncCall string  `json:"sync_call"`
	Sync     Latency `json:"sync"`
	Fill     *Fill   `json:"fill"`
	// Stores are the daemon with an empty store, and, if asked for, the one with a full one.
	Stores []*Store `json:"stores"`
	// Full is what the figures of the full store are to those of the empty one; nil without one.
	Full    *Full    `json:"full_to_empty"`
	Targets []Target `json:"targets"`

	syncs []time.Duration
}

// Store is what was found of one daemon.
type Store struct {
	// FinishedTasks is what it was filled with; the measurements themselves add some thousands.
	FinishedTasks int      `json:"finished_tasks"`
	Submit        []Submit `json:"submit"`
	// CompletedPerSecond is from submit to completed, with tasks that do nothing.
	CompletedPerSecond float64 `json:"completed_per_second"`
	Pickup             Latency `json:"pickup"`
	Watch              Latency `json:"watch"`
	// RssAnon is the daemon's memory in bytes before the measurements, RssAnonLoaded after them, with all that
	// then waits in its queue; nil where the system does not tell.
	RssAnon       *int64 `json:"rss_anon_bytes"`
	RssAnonLoaded *int64 `json:"rss_anon_loaded_bytes"`
}

// Submit is acknowledged submits with the queue held: medians over the rounds.
type Submit struct {
	Clients int  `json:"clients"`
	Daemon  Load `json:"daemon"`
	Floor   Load `json:"floor"`
	// Ratio is the median of what the daemon did to what the bare handler did, round by round.
	Ratio float64 `json:"ratio"`
}

// Full compares two stores: how many times longer, or fewer. More than 1 is worse.
type Full struct {
	SubmitP50 []float64 `json:"submit_p50"` // for each number of clients
	Submit    []float64 `json:"submit"`
	Completed float64   `json:"completed"`
	PickupP99 float64   `json:"pickup_p99"`
	WatchP99  float64   `json:"watch_p99"`
}

// Target is a figure with what it should be.
type Target struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	// Limit is the most that Value should be, or, if AtLeast, the least.
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least"`
	Met     bool    `json:"met"`
}

func newReport(b *bench) *Report {
	r := &Report{
		Version: task.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Dir: b.box.Dir,
		Window: b.Duration.String(), Rounds: b.Rounds, SyncCall: syncName,
	}
	for i := range b.daemons {
		r.Stores = append(r.Stores, &Store{FinishedTasks: i * b.Tasks})
	}
	return r
}

// compare makes medians of the rounds.
func compare(clients int, daemon, floor []Load) Submit {
	pick := func(loads []Load, f func(Load) float64) float64 {
		var v []float64
		for _, l := range loads {
			v = append(v, f(l))
		}
		return median(v)
	}
	middle := func(loads []Load) Load {
		return Load{
			PerSecond: pick(loads, func(l Load) float64 { return l.PerSecond }),
			P50:       pick(loads, func(l Load) float64 { return l.P50 }),
			P99:       pick(loads, func(l Load) float64 { return l.P99 }),
		}
	}
	var ratios []float64
	for i := range daemon {
		ratios = append(ratios, quotient(daemon[i].PerSecond, floor[i].PerSecond))
	}
	return Submit{Clients: clients, Daemon: middle(daemon), Floor: middle(floor), Ratio: median(ratios)}
}

// sample adds what syncing one page takes in the folder, for so long.
func (r *Report) sample(box *sandbox.Sandbox, d time.Duration) (err error) {
	path := box.Path("sync")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, os.Getpagesize())
	write := func() error {
		if _, err := f.WriteAt(page, 0); err != nil {
			return err
		}
		return syncData(f)
	}
	if err := write(); err != nil { // the file grows
		return err
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		began := time.Now()
		if err := write(); err != nil {
			return err
		}
		r.syncs = append(r.syncs, time.Since(began))
	}
	return nil
}

// What is aimed at.
const (
	limitPickup   = 10.0 // ms, p99
	limitWatch    = 5.0  // ms, p99
	limitFull     = 1.2  // times worse
	leastRatio    = 0.6
	submitSyncs   = 3   // p50 of one client: so many syncs
	submitFixed   = 0.4 // and so many ms
	crowd         = 64  // clients
	limitRssAnon  = 40 << 20
	fullForTarget = 100_000
)

// conclude holds the figures against each other and against what is aimed at.
func (r *Report) conclude() {
	for _, s := range r.Stores {
		r.targets(s)
	}
	if len(r.Stores) < 2 {
		return
	}
	empty, full := r.Stores[0], r.Stores[1]
	f := &Full{
		Completed: quotient(empty.CompletedPerSecond, full.CompletedPerSecond),
		PickupP99: quotient(full.Pickup.P99, empty.Pickup.P99), WatchP99: quotient(full.Watch.P99, empty.Watch.P99),
	}
	for i := range empty.Submit {
		a, b := empty.Submit[i].Daemon, full.Submit[i].Daemon
		f.SubmitP50 = append(f.SubmitP50, quotient(b.P50, a.P50))
		f.Submit = append(f.Submit, quotient(a.PerSecond, b.PerSecond))
		r.atMost(fmt.Sprintf("submits a second, %d clients, empty to full store", empty.Submit[i].Clients), f.Submit[i], limitFull)
	}
	r.Full = f
	r.atMost("completed a second, empty to full store", f.Completed, limitFull)
	r.atMost("pick-up p99, full to empty store", f.PickupP99, limitFull)
	r.atMost("watch p99, full to empty store", f.WatchP99, limitFull)
}

func (r *Report) targets(s *Store) {
	of := ""
	if len(r.Stores) > 1 {
		of = fmt.Sprintf(", %d finished tasks", s.FinishedTasks)
	}
	for _, l := range s.Submit {
		switch l.Clients {
		case 1:
			r.atMost("acked submit p50 ms, 1 client"+of, l.Daemon.P50, round(submitSyncs*r.Sync.P50+submitFixed, 1000))
		case crowd:
			r.Targets = append(r.Targets, Target{
				Name: "submits of 64 clients to the bare handler's" + of, Value: l.Ratio,
				Limit: leastRatio, AtLeast: true, Met: l.Ratio >= leastRatio,
			})
		}
	}
	r.atMost("pick-up p99 ms"+of, s.Pickup.P99, limitPickup)
	r.atMost("watch p99 ms"+of, s.Watch.P99, limitWatch)
	if s.RssAnon != nil && s.FinishedTasks >= fullForTarget {
		r.atMost("RssAnon MiB"+of, round(float64(*s.RssAnon)/(1<<20), 10), limitRssAnon>>20)
	}
}

func (r *Report) atMost(name string, value, limit float64) {
	r.Targets = append(r.Targets, Target{Name: name, Value: value, Limit: limit, Met: value <= limit})
}
