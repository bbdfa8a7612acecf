package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"durable/cmd/durablectl/internal/render"
)

// stage is where the story is told: numbered scenes, plain sentences, and what the programs say to each other.
type stage struct {
	out    io.Writer
	screen render.Screen
	pace   time.Duration
	scenes int
	err    error // the first write that failed
}

func (st *stage) print(text string) {
	if _, err := io.WriteString(st.out, text); err != nil && st.err == nil {
		st.err = fmt.Errorf("write output: %w", err)
	}
}

func (st *stage) title(text string) { st.print(st.screen.Paint(render.Bold, text) + "\n") }

// scene begins the next one.
func (st *stage) scene(title string) {
	st.scenes++
	st.print("\n")
	st.title(fmt.Sprintf("%d. %s", st.scenes, title))
}

const indent = "   "

// say tells something; each line of text becomes one.
func (st *stage) say(format string, args ...any) { st.lines(render.None, format, args...) }

// saw tells what was checked and found true.
func (st *stage) saw(format string, args ...any) {
	st.lines(render.Green, "✓ "+format, args...)
}

// event tells what happened to a program.
func (st *stage) event(format string, args ...any) { st.lines(render.Yellow, format, args...) }

func (st *stage) lines(c render.Color, format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		st.print(indent + st.screen.Paint(c, strings.TrimRight(line, "\n")) + "\n")
	}
}

// asks and hears are the app's side of the conversation.
func (st *stage) asks(format string, args ...any) {
	st.lines(render.Cyan, "app   > "+format, args...)
}

func (st *stage) hears(text string) {
	width := st.screen.Width
	line := "      < " + render.Clean(text)
	if width > len(indent) {
		line = render.Truncate(line, width-len(indent))
	}
	st.lines(render.Faint, "%s", line)
}

// pause gives a reader time. It comes only where nothing waits for us: what runs meanwhile is never slowed.
func (st *stage) pause(ctx context.Context) error {
	if st.pace <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(st.pace)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
