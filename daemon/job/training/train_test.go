package training

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"durable/daemon/job"
	"durable/ipc/task"
)

// TestMade: the tutorial's call trains for real.
func TestMade(t *testing.T) {
	t.Parallel()
	l := prepare(t, "dataset_size", 2000, "epochs", 12)
	res := l.finish()
	if res.ModelName != "m" || res.Size != 2000 || res.Epochs != 12 || !res.Success || len(res.Metrics) != 12 || res.EarlyStopped {
		t.Errorf("%+v", res)
	}
	if *res.TestAccuracy < 0.8 || res.Accuracy < 0.8 || res.Loss > 0.7 || *res.TestF1 < 0.8 {
		t.Errorf("it has not learnt: %s", l.host.Output())
	}
	if first := res.Metrics[0]; *first.ValLoss <= res.Loss {
		t.Errorf("first loss %g, last %g", *first.ValLoss, res.Loss)
	}
	reports := l.host.Reports()
	last := reports[len(reports)-1]
	if ok, _ := regexp.MatchString(`^Epoch 12/12 - Loss: \d\.\d{4}, Accuracy: \d\.\d{4}$`, last.Message); !ok || last.Done != 12 || *last.Total != 12 {
		t.Errorf("%+v", last)
	}
	series := strings.Split(strings.TrimSpace(l.artifact(fileSeries)), "\n")
	if len(series) != 13 || series[0]+"\n" != seriesHeader || !strings.HasPrefix(series[12], "12,0.") || strings.Count(series[12], ",") != 7 {
		t.Errorf("%q", series)
	}
}

// TestText: texts are learnt, with and without a hidden layer, in every format.
func TestText(t *testing.T) {
	t.Parallel()
	for i, hidden := range [][]int{{}, {8}} {
		l := prepare(t, "dataset", write(t, "mails.csv", mails(150)), "epochs", 10, "hidden", hidden, "batch_size", 16)
		if res := l.finish(); *res.TestAccuracy < 0.99 || res.Labels[0] != "ham" || res.TestSize != 15 {
			t.Errorf("%d: %+v\n%s", i, res, l.host.Output())
		}
	}
}

// TestTable: figures and categories, with gaps.
func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 200 {
		gap := fmt.Sprintf(`"size":%d,`, 1_700_000_000+i%2*50+i%7)
		if i%10 == 0 {
			gap = `"size":null,`
		}
		fmt.Fprintf(&b, "{%s\"color\":%q,\"flag\":%t,\"class\":%d}\n", gap, []string{"red", "blue"}[i%2], i%3 == 0, i%2)
	}
	l := prepare(t, "dataset", write(t, "table.jsonl", b.String()), "epochs", 15)
	if res := l.finish(); *res.TestAccuracy < 0.99 || strings.Join(res.Labels, "") != "01" {
		t.Errorf("%+v\n%s", res, l.host.Output())
	}
}

var errCrash = errors.New("crash")

// TestResume: wherever it is cut, the model and the series are those of an unbroken run, bit for bit.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, params := range map[string][]any{
		"made": {"dataset_size", 300, "epochs", 4},
		"text": {"dataset", write(t, "mails.csv", mails(60)), "epochs", 4, "batch_size", 16},
		"best": {"dataset_size", 200, "epochs", 8, "early_stopping", 2, "learning_rate", 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := prepare(t, params...)
			want := whole.finish()
			cuts := 0
			for n := 1; ; n++ {
				l := prepare(t, params...)
				points := 0
				l.kind.hook = func(point string) error {
					if points++; points == n {
						return fmt.Errorf("%w at %s", errCrash, point)
					}
					return nil
				}
				_, err := l.attempt(t.Context())
				if err == nil {
					break
				}
				if !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				cuts++
				got := l.finish()
				if whole.artifact(fileModel) != l.artifact(fileModel) {
					t.Errorf("cut %d (%v): another model", n, err)
				}
				if *got.TestLoss != *want.TestLoss || got.Epochs != want.Epochs || got.Loss != want.Loss || got.BestEpoch != want.BestEpoch {
					t.Errorf("cut %d: %+v, want %+v", n, got, want)
				}
				if a, b := figuresOf(l.artifact(fileSeries)), figuresOf(whole.artifact(fileSeries)); a != b {
					t.Errorf("cut %d: %s, want %s", n, a, b)
				}
			}
			if cuts < 9 {
				t.Errorf("only %d points", cuts)
			}
		})
	}
}

// figuresOf is a series without the times.
func figuresOf(series string) string {
	return regexp.MustCompile(`(?m),[^,]*$`).ReplaceAllString(series, "")
}

// TestStop: the daemon leaves in the middle of an epoch.
func TestStop(t *testing.T) {
	t.Parallel()
	l := prepare(t, "dataset_size", 300, "epochs", 5)
	ctx, cancel := context.WithCancelCause(t.Context())
	l.kind.hook = func(point string) error {
		if point == "checkpoint" {
			cancel(job.ErrStop)
		}
		return nil
	}
	if _, err := l.attempt(ctx); !errors.Is(err, job.ErrStop) {
		t.Fatal(err)
	}
	l.host.SetAdopted(true)
	if _, err := l.attempt(t.Context()); job.OutcomeOf(err) != task.OutcomeInterrupted {
		t.Fatalf("an attempt of a daemon that is gone: %v", err)
	}
	l.host.SetAdopted(false)
	if res := l.finish(); res.ResumedFrom != 1 || res.Epochs != 5 {
		t.Errorf("%+v", res)
	}
	work, err := l.host.WorkDir()
	if err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(work, "*")); len(files) > 3 {
		t.Errorf("left: %v", files)
	}
}

// TestDiverges: a loss that is no number any more ends the training, with what to do.
func TestDiverges(t *testing.T) {
	t.Parallel()
	l := prepare(t, "dataset_size", 300, "epochs", 5, "learning_rate", 1e30)
	_, err := l.attempt(t.Context())
	e := task.AsError(err)
	if e == nil || !strings.Contains(e.Message, "diverged in epoch 1") || !strings.Contains(e.Hint, "learning_rate") || !job.IsPermanent(err) {
		t.Errorf("%v", err)
	}
}

// TestChanged: a data set that is another one now is refused.
func TestChanged(t *testing.T) {
	t.Parallel()
	path := write(t, "mails.csv", mails(60))
	l := prepare(t, "dataset", path, "epochs", 3)
	l.kind.hook = func(point string) error {
		if point == "checkpoint" {
			return errCrash
		}
		return nil
	}
	if _, err := l.attempt(t.Context()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	rewrite(t, path, strings.Replace(mails(60), "monday", "friday", 1))
	l.kind.hook = func(string) error { return nil }
	if _, err := l.attempt(t.Context()); !errors.Is(err, task.FailedPrecondition) || !strings.Contains(err.Error(), "changed") {
		t.Errorf("%v", err)
	}
}
