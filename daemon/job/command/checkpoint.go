package command

import (
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"durable/daemon/job"
	"durable/daemon/shim/protocol"
)

// Limits of looking for what a program has saved.
const (
	saveEvery = 30 * time.Second
	saveMost  = 10_000 // files that are looked at
)

// checkpoints looks whether a program has saved its position in its checkpoint folder.
type checkpoints struct {
	j      *job.Context
	dir    string
	since  time.Time // the start of the attempt, or what the last checkpoint was made of
	looked time.Time
}

// marker is the checkpoint of a task whose position lies in files.
type marker struct {
	Files   bool      `json:"files"`
	Changed time.Time `json:"changed"`
}

func newCheckpoints(j *job.Context, at places) *checkpoints {
	c := &checkpoints{j: j, dir: at.checkpoint, since: startOf(at.attempt), looked: time.Now()}
	var before marker
	if ok, err := j.Load(&before); err == nil && ok && before.Changed.After(c.since) {
		c.since = before.Changed
	}
	return c
}

// startOf returns when the attempt in dir began.
func startOf(dir string) time.Time {
	if data, err := os.ReadFile(filepath.Join(dir, protocol.FileStarted)); err == nil {
		if started, err := protocol.ParseStarted(data); err == nil && !started.Time.IsZero() {
			return started.Time
		}
	}
	return time.Now()
}

// look makes a checkpoint if the program has saved something; now: however short ago the last look was.
func (c *checkpoints) look(now bool) {
	if !now && time.Since(c.looked) < saveEvery {
		return
	}
	c.looked = time.Now()
	newest, files := newestIn(c.dir)
	if files == 0 || !newest.After(c.since) {
		return
	}
	if err := c.j.Checkpoint(marker{Files: true, Changed: newest}); err != nil {
		c.j.Logf("%v", err)
		return
	}
	c.since = newest
}

// newestIn returns the time of the latest change below dir, and how many files there are.
func newestIn(dir string) (newest time.Time, files int) {
	seen := 0
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what is being renamed is seen the next time
		if err != nil {
			return nil
		}
		if seen++; seen > saveMost {
			return fs.SkipAll
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if !d.IsDir() {
			files++
		}
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	return newest, files
}
