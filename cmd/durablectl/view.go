package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// view shows one task while it goes on.
type view interface {
	show(at time.Time, t task.Summary)
	// close ends the view. Where the task has ended, its end is written next.
	close(ended bool)
}

func (c *cli) view() view {
	if c.screen.Terminal() {
		return newBarView(c.out, c.draw())
	}
	return &plainView{c: c}
}

// plainView writes a line for each change.
type plainView struct {
	c       *cli
	changes render.Changes
}

func (v *plainView) show(at time.Time, t task.Summary) {
	if line, ok := v.changes.Line(v.c.draw(), at, t); ok {
		_ = v.c.write(line + "\n") // a reader that is gone is found out about at the end
	}
}

func (v *plainView) close(bool) {}

// barView is one line that changes in place. mpb owns the terminal's line: cursor, refresh, width; what
// stands in it is made by render.
type barView struct {
	progress *mpb.Progress
	bar      *mpb.Bar

	mu   sync.Mutex
	last task.Summary
}

func newBarView(out io.Writer, s render.Screen) *barView {
	v := &barView{progress: mpb.New(mpb.WithOutput(out))}
	fill := func(w io.Writer, stat decor.Statistics) error {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.last.Number == 0 {
			return nil
		}
		_, err := io.WriteString(w, s.Line(v.last, stat.AvailableWidth))
		return err
	}
	v.bar = v.progress.MustAdd(0, mpb.BarFillerFunc(fill), mpb.BarFillerTrim())
	return v
}

func (v *barView) show(_ time.Time, t task.Summary) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = t
}

// close takes the line away when the task has ended, and leaves it where it was otherwise.
func (v *barView) close(ended bool) {
	v.bar.Abort(ended)
	v.progress.Wait()
}

// number names a task in a sentence.
func number(t task.Task) string { return fmt.Sprint(t.Number) }
