package progress_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"durable/daemon/job/command/progress"
	"durable/ipc/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is a report in one line: what a table compares.
func text(p task.Progress) string {
	s := fmt.Sprint(p.Done)
	if p.Total != nil {
		s += fmt.Sprintf("/%d", *p.Total)
	}
	if p.Unit != "" {
		s += " " + p.Unit
	}
	if p.Message != "" {
		s += " (" + p.Message + ")"
	}
	return s
}

// reports feeds output line by line and returns the reports that are news.
func reports(tr *progress.Tracker, s progress.Source, output string) []task.Progress {
	var all []task.Progress
	take := func() {
		if p, news := tr.Report(); news {
			all = append(all, p)
		}
	}
	for line := range strings.SplitAfterSeq(output, "\n") {
		for part := range strings.SplitAfterSeq(line, "\r") {
			tr.Feed(s, []byte(part))
			take()
		}
	}
	tr.End()
	take()
	return all
}

// TestCaptured: what the real programs print (testdata, as they wrote it into a file).
func TestCaptured(t *testing.T) {
	tests := []struct {
		file  string
		least int    // reports at least
		first string // beginnings of the first and the last report
		last  string
		down  bool // reports may go back: one after the other, or nested
	}{
		{file: "tqdm.txt", least: 15, first: "0/1000", last: "1000/1000"},
		{file: "tqdm-nested.txt", least: 4, first: "0/3 (epochs)", last: "3/3 (epochs)"},
		{file: "tqdm-units.txt", least: 10, first: "0/2100000 bytes (data.bin)", last: "1/3 epochs (epoch 1/3, loss 0.5)", down: true},
		{file: "rsync-progress2.txt", least: 8, first: "0/100 %", last: "100/100 % (160,000,000 bytes"},
		{file: "rsync-progress.txt", least: 8, first: "2/9 files", last: "9/9 files"},
		{file: "curl-meter.txt", least: 3, first: "21/100 % (40.2M of 190M, 79.7M/s)", last: "100/100 %"},
		{file: "curl-bar.txt", least: 15, first: "7/100 %", last: "100/100 %"},
		{file: "wget.txt", least: 40, first: "1/100 % (41.8MB/s)", last: "100/100 %"},
		{file: "wget-bar.txt", least: 4, first: "0/100 % (out, 0)", last: "100/100 %"},
		{file: "ninja.txt", least: 35, first: "2/40", last: "40/40 (CC o40)"},
		{file: "cmake-make.txt", least: 3, first: "50/100 %", last: "100/100 %"},
		{file: "git-clone.txt", least: 100, first: "27/1335 (remote: Counting objects: 2% (27/1335))", last: "668/668 (Resolving deltas: 100% (668/668)", down: true},
		{file: "epoch.txt", least: 5, first: "1/5 epochs (epoch 1/5, loss 1.0000, accuracy 0.5000, val_loss 1.1000)", last: "5/5 epochs"},
		{file: "go-build-v.txt"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			output, err := os.ReadFile(filepath.Join("testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got := reports(progress.New(nil), progress.Stderr, string(output))
			if len(got) < tt.least || tt.least == 0 && len(got) > 0 {
				t.Fatalf("%d reports, want at least %d: %v", len(got), tt.least, got)
			}
			if tt.least == 0 {
				return
			}
			if first, last := text(got[0]), text(got[len(got)-1]); !strings.HasPrefix(first, tt.first) || !strings.HasPrefix(last, tt.last) {
				t.Errorf("from %q to %q, want %q to %q", first, last, tt.first, tt.last)
			}
			for i := 1; i < len(got) && !tt.down; i++ {
				if got[i].Done < got[i-1].Done {
					t.Errorf("from %s back to %s", text(got[i-1]), text(got[i]))
				}
			}
		})
	}
}

// TestChunks: how the bytes are cut into reads makes no difference to the end.
func TestChunks(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) < 10 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		output, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		whole := progress.New(nil)
		whole.Feed(progress.Stdout, output)
		whole.End()
		want, _ := whole.Report()
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 1))
			tr := progress.New(nil)
			for rest := output; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(1+int(seed)*5))
				tr.Feed(progress.Stdout, rest[:n])
				rest = rest[n:]
				if p, _ := tr.Report(); p.Total != nil && p.Done > *p.Total {
					t.Errorf("%s: %s on the way", file, text(p))
				}
			}
			tr.End()
			if got, _ := tr.Report(); text(got) != text(want) {
				t.Errorf("%s, seed %d: %s, want %s", file, seed, text(got), text(want))
			}
		}
	}
}

func TestShapes(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"tqdm slow", " 10%|█         | 1/10 [00:02<00:19,  2.13s/it]", "1/10"},
		{"tqdm with figures", "train:  45%|████▌     | 450/1000 [00:10<00:12, 43.10it/s, loss=0.21]", "450/1000 (train, loss=0.21)"},
		{"tqdm half a line", " 45%|████▌     | 450/1000 [00:10<00:", ""},
		{"counts", "done 1/10\ndone 2/10\ndone 3/10\n", "3/10 (done 3/10)"},
		{"counts with words", "step 1 of 10\nstep 2 of 10\nstep 3 of 10\n", "3/10 (step 3 of 10)"},
		{"counts on one line", "\r1/500\r2/500\r30/500\r", "30/500 (30/500)"},
		{"counts with half a line at the end", "1/500\n2/500\n3/500\n40/5", "3/500 (3/500)"},
		{"percentages", "Working: 10%\nWorking: 20%\nWorking: 35.5%\n", "35/100 % (Working: 35.5%)"},
		{"erased with backspaces", "10%\b\b\b20%\b\b\b30%\b\b\b", "30/100 % (30%)"},
		{"moved with the cursor", "\x1b[32m10%\x1b[0m\x1b[1G\x1b[32m20%\x1b[0m\x1b[1G30%\x1b[1G", "30/100 % (30%)"},
		{"brackets", "[1/3] Resolving\n[2/3] Fetching\n", "2/3 (Fetching)"},
		{"PyTorch", "Epoch [1/10], Step [100/600], Loss: 0.2\nEpoch [1/10], Step [600/600], Loss: 0.1\n", "1/10 epochs (epoch 1/10, Loss 0.1)"},
		{"PyTorch under way", "Epoch [3/10], Step [100/600], Loss: 0.2\n", "2/10 epochs (epoch 3/10, step 100/600, Loss 0.2)"},
		{"Keras", "Epoch 1/2\n1875/1875 [====] - 3s - loss: 0.21 - accuracy: 0.93\nEpoch 2/2\n1200/1875 [==>..] - ETA: 1s - loss: 0.11\n",
			"1/2 epochs (epoch 2/2, step 1200/1875, loss 0.11)"},
		{"Keras at its end", "Epoch 2/2\n1875/1875 ━━━━ 3s 1ms/step - accuracy: 0.93 - loss: 0.1\n", "2/2 epochs (epoch 2/2, accuracy 0.93, loss 0.1)"},
		{"epochs from 0", "Epoch 0/24\n----------\ntrain Loss: 0.5 Acc: 0.8\nEpoch 1/24\n", "1/25 epochs (epoch 1/24)"},
		{"epochs in tqdm", "Epoch 2/3:  45%|████▌     | 450/1000 [00:10<00:12, 43.10it/s, loss=0.21]", "1/3 epochs (epoch 2/3, 45%, loss 0.21)"},
		{"epoch in a log", "2026-11-24 10:11:12 INFO Epoch 3/5 loss=0.25\n", "3/5 epochs (epoch 3/5, loss 0.25)"},
		{"two bars, one after the other", " 50%|█    | 5/10 [00:10<00:12, 1.0it/s]\n100%|█| 10/10 [00:10<00:00, 1.0it/s]\nb:   5%|█    | 1/20 [00:10<00:12, 1.0it/s]\n", "1/20 (b)"},
		{"wget done", "out  100%[====>]   2.86M  3.00MB/s    in 1.0s\n", "100/100 % (out, 2.86M)"},

		{"dates", "11/24 a\n11/25 b\n11/26 c\n11/27 d\n", ""},
		{"days of a month", "1/12 10:00 a\n2/12 10:00 b\n3/12 10:00 c\n", ""},
		{"whole dates", "01/02/2026 a\n02/02/2026 b\n03/02/2026 c\n", ""},
		{"results", "3/4 tests passed\n", ""},
		{"results of several", "a: 3/4 tests\nb: 1/4 tests\nc: 4/4 tests\n", ""},
		{"back and forth", "1/9\n5/9\n2/9\n6/9\n3/9\n7/9\n4/9\n8/9\n5/9\n6/9\n7/9\n", ""},
		{"paths", "/a/1/10/b\n/a/2/10/b\n/a/3/10/b\n", ""},
		{"load", "cpu 10%\ncpu 20%\ncpu 30%\n", ""},
		{"coverage", "ok a coverage: 10.0% of statements\nok a coverage: 20.0% of statements\nok a coverage: 30.0% of statements\n", ""},
		{"too much", "120/100\n121/100\n122/100\n", ""},
		{"one alone", "10%\n", ""},
		{"the same again and again", "10%\n10%\n10%\n10%\n", ""},
		{"epoch alone", "epoch 5\nEpoch: 6\n", ""},
		{"empty", "\n\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := progress.New(nil)
			tr.Feed(progress.Stdout, []byte(tt.in))
			p, news := tr.Report()
			got := text(p)
			if !news {
				got = ""
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestRates(t *testing.T) {
	tr := progress.New(nil)
	tr.Feed(progress.Stderr, []byte(" 45%|████▌     | 450/1000 [00:10<01:00:12, 43.10it/s]"))
	p, _ := tr.Report()
	if p.Rate != 43.1 || p.ETA == nil || time.Duration(*p.ETA) != time.Hour+12*time.Second {
		t.Errorf("rate %v, eta %v", p.Rate, p.ETA)
	}
	tr.Feed(progress.Stderr, []byte("\r 46%|████▌     | 460/1000 [00:10<?, 2.00s/it]"))
	if p, _ = tr.Report(); p.Rate != 0.5 || p.ETA != nil {
		t.Errorf("rate %v, eta %v", p.Rate, p.ETA)
	}
}

func TestFileWins(t *testing.T) {
	tr := progress.New(nil)
	steps := []struct {
		from     progress.Source
		in, want string
	}{
		{progress.Stdout, " 45%|██| 450/1000 [00:10<00:12, 43.10it/s]\n", "450/1000"},
		{progress.File, "40/100 half way\n", "40/100 (half way)"},
		{progress.Stdout, " 55%|██| 550/1000 [00:10<00:12, 43.10it/s]\n", "40/100 (half way)"},
		{progress.File, "20%\n", "20/100 %"},
		{progress.File, "almost\n", "20/100 % (almost)"},
		{progress.File, "99", "20/100 % (almost)"},
		{progress.File, "9 lines\n", "999 (lines)"},
		{progress.File, "\n", "999 (lines)"},
	}
	for _, s := range steps {
		tr.Feed(s.from, []byte(s.in))
		if p, _ := tr.Report(); text(p) != s.want {
			t.Errorf("after %q: %q, want %q", s.in, text(p), s.want)
		}
	}
}

func TestPattern(t *testing.T) {
	if _, err := progress.NewPattern(`(\d+)`); err == nil || task.AsError(err).Hint == "" {
		t.Errorf("no named group: %v", err)
	}
	if _, err := progress.NewPattern(`(?P<done>\d+`); err == nil {
		t.Error("a broken expression")
	}
	tests := []struct{ expr, in, want string }{
		{`row (?P<done>[\d,]+) out of (?P<total>[\d,]+)(?P<message>.*)`, "row 1,200 out of 5,000 of orders\n", "1200/5000 (of orders)"},
		{`at (?P<percent>[\d.]+)`, "at 12.7 %\n", "12/100 %"},
		{`at (?P<percent>[\d.]+)`, "at 1200\n", "0"},
		{`n=(?P<done>\d+)`, "n=5\n 45%|██| 450/1000 [00:10<00:12, 43.10it/s]\n", "5"},
	}
	for _, tt := range tests {
		pattern, err := progress.NewPattern(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		tr := progress.New(pattern)
		tr.Feed(progress.Stdout, []byte(tt.in))
		if p, _ := tr.Report(); text(p) != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, text(p), tt.want)
		}
	}
}

func TestSkip(t *testing.T) {
	tr := progress.New(nil)
	tr.Feed(progress.Stdout, []byte("1/100\n2/100\n3/100\n1"))
	tr.Skip(progress.Stdout)
	tr.Feed(progress.Stdout, []byte("8/100\n50/100\n"))
	if p, _ := tr.Report(); text(p) != "50/100 (50/100)" {
		t.Error(text(p))
	}
}

func TestLastLine(t *testing.T) {
	tr := progress.New(nil)
	tr.Feed(progress.Stderr, []byte("first\n\x1b[31merror: no such file\x1b[0m\n\n  \n"))
	if got := tr.LastLine(progress.Stderr); got != "error: no such file" {
		t.Errorf("%q", got)
	}
	tr.Feed(progress.Stderr, []byte("half "+strings.Repeat("x", 1<<20)))
	if got := tr.LastLine(progress.Stderr); !strings.HasPrefix(got, "half xxx") || len(got) > 300 {
		t.Errorf("%d bytes: %.40q", len(got), got)
	}
}

func FuzzTracker(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 600)], uint8(7))
	}
	f.Add([]byte("\x1b[\x1b]0;\a\x00\xff9999999999999999999/1\r100%|"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, cuts uint8) {
		tr := progress.New(nil)
		piece := 1 + len(in)/(1+int(cuts%8)) // half lines are looked at after each read: there are few a second
		for s := progress.Stdout; s <= progress.File; s++ {
			for rest := in; len(rest) > 0; {
				n := min(len(rest), piece)
				tr.Feed(s, rest[:n])
				rest = rest[n:]
			}
		}
		tr.End()
		p, _ := tr.Report()
		if p.Done < 0 || p.Total != nil && *p.Total <= 0 || p.Rate < 0 || p.ETA != nil && *p.ETA < 0 || strings.ContainsAny(p.Message, "\n\r\x1b") {
			t.Errorf("%+v", p)
		}
	})
}

func BenchmarkTracker(b *testing.B) {
	output := []byte(strings.Repeat("a line of an ordinary log at 10:11:12, with 3/4 of something and 40% of the rest\n", 800))
	b.SetBytes(int64(len(output)))
	for b.Loop() {
		tr := progress.New(nil)
		tr.Feed(progress.Stdout, output)
	}
}
