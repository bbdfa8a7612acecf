package bench

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"durable/cmd/durablectl/internal/render"
	"durable/cmd/durablectl/internal/sandbox/sandboxtest"
	"durable/ipc/task"
)

var update = flag.Bool("update", false, "write the golden files")

// bin is the folder of the programs.
var bin string

func TestMain(m *testing.M) {
	dir, remove, err := sandboxtest.Build()
	if err != nil {
		panic(err)
	}
	bin = dir
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		remove()
		os.Exit(status)
	}))
}

// TestRun runs all of it, briefly: what it finds is nobody's business here, that it finds it is.
func TestRun(t *testing.T) {
	tmp, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	cmd := exec.CommandContext(t.Context(), sandboxtest.Program(bin, "durablectl"), "bench", "--json", "--dir", tmp,
		"--duration", "200ms", "--clients", "1,4", "--rounds", "1", "--tasks", "100")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var r Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	golden(t, "keys.txt", strings.Join(keys(t, out), "\n")+"\n")
	plausible(t, &r)
}

func plausible(t *testing.T, r *Report) {
	t.Helper()
	if len(r.Stores) != 2 || r.Fill == nil || r.Full == nil || r.Fill.Tasks != 100 {
		t.Fatalf("%+v", r)
	}
	positive := map[string]float64{"sync": r.Sync.P50, "fill": r.Fill.PerSecond, "full": r.Full.Completed}
	for _, s := range r.Stores {
		positive["completed"], positive["pickup"], positive["watch"] = s.CompletedPerSecond, s.Pickup.P99, s.Watch.P99
		for _, l := range s.Submit {
			positive["daemon"], positive["floor"], positive["ratio"] = l.Daemon.PerSecond, l.Floor.PerSecond, l.Ratio
		}
		if want := 200; s.Pickup.Samples != want {
			t.Errorf("pick-up: %d samples, want %d", s.Pickup.Samples, want)
		}
		if (s.RssAnon != nil) != (runtime.GOOS == "linux") {
			t.Errorf("RssAnon: %v", s.RssAnon)
		}
	}
	for name, v := range positive {
		if v <= 0 {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// keys returns the paths of all fields in a JSON document.
func keys(t *testing.T, doc []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, v := range v {
				walk(strings.TrimPrefix(path+"."+name, "."), v)
			}
		case []any:
			for _, v := range v {
				walk(path+"[]", v)
			}
		default:
			found[path] = true
		}
	}
	walk("", v)
	var list []string
	for path := range found {
		list = append(list, path)
	}
	slices.Sort(list)
	return list
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update writes it anew):\n%s", name, diff)
	}
}

func TestBadOptions(t *testing.T) {
	good := Options{Duration: DefaultDuration, Clients: DefaultClients, Rounds: DefaultRounds}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Options){
		"too short":          func(o *Options) { o.Duration = MinDuration - 1 },
		"too long":           func(o *Options) { o.Duration = MaxDuration + 1 },
		"no clients":         func(o *Options) { o.Clients = nil },
		"no client":          func(o *Options) { o.Clients = []int{1, 0} },
		"too many clients":   func(o *Options) { o.Clients = []int{MaxClients + 1} },
		"less than no tasks": func(o *Options) { o.Tasks = -1 },
		"too many tasks":     func(o *Options) { o.Tasks = MaxTasks + 1 },
		"no rounds":          func(o *Options) { o.Rounds = 0 },
		"too many rounds":    func(o *Options) { o.Rounds = MaxRounds + 1 },
	} {
		o := good
		spoil(&o)
		if err := o.check(); !errors.Is(err, task.InvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPercentile(t *testing.T) {
	upTo := func(n int) []time.Duration {
		v := make([]time.Duration, n)
		for i := range v {
			v[i] = time.Duration(i + 1)
		}
		return v
	}
	tests := []struct {
		n    int
		p    int
		want time.Duration
	}{
		{1, 0, 1}, {1, 50, 1}, {1, 99, 1}, {1, 100, 1},
		{2, 50, 1}, {2, 51, 2},
		{5, 50, 3}, {5, 99, 5},
		{100, 1, 1}, {100, 50, 50}, {100, 99, 99}, {100, 100, 100},
		{101, 99, 100}, {1000, 99, 990},
	}
	for _, tt := range tests {
		if got := percentile(upTo(tt.n), tt.p); got != tt.want {
			t.Errorf("p%d of 1 to %d: %d, want %d", tt.p, tt.n, got, tt.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tt.v); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.v, got, tt.want)
		}
	}
}

func TestLatencySortsItsSamples(t *testing.T) {
	got := latency([]time.Duration{3 * time.Millisecond, time.Millisecond, 2500 * time.Microsecond})
	if want := (Latency{3, 2.5, 3, 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := latency(nil); got != (Latency{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestRatioIsTheMedianOfTheRounds(t *testing.T) {
	daemon := []Load{{PerSecond: 60, P50: 1}, {PerSecond: 10, P50: 9}, {PerSecond: 80, P50: 2}}
	floor := []Load{{PerSecond: 100, P50: 1}, {PerSecond: 20, P50: 5}, {PerSecond: 100, P50: 3}}
	got := compare(64, daemon, floor)
	want := Submit{Clients: 64, Daemon: Load{PerSecond: 60, P50: 2}, Floor: Load{PerSecond: 100, P50: 3}, Ratio: 0.6}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWatcher(t *testing.T) {
	begin := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w := &watcher{due: []time.Time{begin, begin.Add(5 * time.Millisecond)}}
	hear := func(at time.Duration, typ task.EventType, title string, s task.Summary) {
		s.Title = title
		w.hear(task.Event{Type: typ, Task: &s}, begin.Add(at))
	}
	hear(2*time.Millisecond, task.EventSubmitted, "0", task.Summary{Status: task.StatusPending})
	hear(3*time.Millisecond, task.EventStarted, "0", task.Summary{Status: task.StatusRunning})
	hear(9*time.Millisecond, task.EventStarted, "1", task.Summary{Status: task.StatusRunning})
	hear(9*time.Millisecond, task.EventStarted, "noop", task.Summary{Status: task.StatusRunning})
	hear(9*time.Millisecond, task.EventStarted, "2", task.Summary{Status: task.StatusRunning})
	report := task.Progress{Message: begin.Add(10 * time.Millisecond).Format(time.RFC3339Nano)}
	hear(11*time.Millisecond, task.EventProgress, "1", task.Summary{Status: task.StatusRunning, Progress: report})
	hear(12*time.Millisecond, task.EventStatus, "1", task.Summary{Status: task.StatusCompleted, Progress: report})
	w.hear(task.Event{Type: task.EventDaemon}, begin)
	got := []any{w.pickup, w.watch, w.ended}
	want := []any{[]time.Duration{3 * time.Millisecond, 4 * time.Millisecond}, []time.Duration{time.Millisecond}, 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestText(t *testing.T) {
	store := func(tasks int, submits, p99 float64) *Store {
		return &Store{
			FinishedTasks: tasks, CompletedPerSecond: 4000,
			Submit: []Submit{
				{1, Load{1200, 0.8, 2}, Load{2400, 0.4, 1}, 0.5},
				{64, Load{submits, 4, 9}, Load{20000, 3, 8}, quotient(submits, 20000)},
			},
			Pickup: Latency{1000, 1.5, p99, 20}, Watch: Latency{998, 0.2, 1, 4}, RssAnon: new(int64(12 << 20)), RssAnonLoaded: new(int64(50 << 20)),
		}
	}
	r := &Report{
		Version: "v1.0.0", OS: "linux", Arch: "amd64", CPUs: 2, Dir: "/tmp/durable-1", Window: "1s", Rounds: 3,
		SyncCall: "fdatasync", Sync: Latency{5000, 0.25, 1, 30}, Fill: &Fill{100_000, 25, 4000},
		Stores: []*Store{store(0, 15000, 8), store(100_000, 11000, 12)},
	}
	r.conclude()
	golden(t, "text.txt", r.Text(render.Screen{}))
}
