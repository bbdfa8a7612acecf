package bench

import (
	"fmt"
	"strings"

	"durable/cmd/durablectl/internal/render"
)

// Text returns the report for people.
func (r *Report) Text(s render.Screen) string {
	var b strings.Builder
	fmt.Fprintf(&b, "durable %s, %s/%s, %d CPUs, in %s\n", r.Version, r.OS, r.Arch, r.CPUs, r.Dir)
	fmt.Fprintf(&b, "%d rounds, windows of %s; medians\n\n", r.Rounds, r.Window)
	fmt.Fprintf(&b, "%s: %s\n", r.SyncCall, r.Sync)
	if r.Fill != nil {
		fmt.Fprintf(&b, "fill: %s tasks in %.1fs, %s/s\n", render.Count(int64(r.Fill.Tasks)), r.Fill.Seconds, rate(r.Fill.PerSecond))
	}
	for _, st := range r.Stores {
		fmt.Fprintf(&b, "\n%s\n", s.Paint(render.Bold, fmt.Sprintf("Store with %s finished tasks", render.Count(int64(st.FinishedTasks)))))
		b.WriteString(st.text(s))
	}
	b.WriteString("\n" + r.targetText(s))
	return b.String()
}

func (l Latency) String() string {
	return fmt.Sprintf("p50 %.3f ms  p99 %.3f ms  max %.3f ms  (%d samples)", l.P50, l.P99, l.Max, l.Samples)
}

func rate(f float64) string { return render.Count(int64(f + 0.5)) }

func (st *Store) text(s render.Screen) string {
	t := render.Table{Indent: 2, Titles: true, Columns: []render.Column{
		{Title: "acked submits, queue held", Right: true}, {Title: "a second", Right: true}, {Title: "p50 ms", Right: true},
		{Title: "p99 ms", Right: true}, {Title: "bare handler", Right: true}, {Title: "p50 ms", Right: true}, {Title: "ratio", Right: true},
	}}
	cell := func(format string, args ...any) render.Cell { return render.Cell{Text: fmt.Sprintf(format, args...)} }
	for _, l := range st.Submit {
		t.Row(cell("%d clients", l.Clients), cell("%s", rate(l.Daemon.PerSecond)), cell("%.3f", l.Daemon.P50), cell("%.3f", l.Daemon.P99),
			cell("%s", rate(l.Floor.PerSecond)), cell("%.3f", l.Floor.P50), cell("%.2f", l.Ratio))
	}
	text := t.Render(s)
	text += fmt.Sprintf("  submit to completed: %s/s\n", rate(st.CompletedPerSecond))
	text += fmt.Sprintf("  pick-up at %d/s: %s\n  watch   at %d/s: %s\n", openLoopRate, st.Pickup, openLoopRate, st.Watch)
	if st.RssAnon != nil && st.RssAnonLoaded != nil {
		text += fmt.Sprintf("  RssAnon: %s; after all submits: %s\n", render.Bytes(*st.RssAnon), render.Bytes(*st.RssAnonLoaded))
	}
	return text
}

func (r *Report) targetText(s render.Screen) string {
	t := render.Table{Columns: []render.Column{{}, {}, {Right: true}, {}}}
	for _, g := range r.Targets {
		word, color, sign := "met", render.Green, "<="
		if !g.Met {
			word, color = "missed", render.Red
		}
		if g.AtLeast {
			sign = ">="
		}
		t.Row(render.Cell{Text: word, Color: color}, render.Cell{Text: g.Name},
			render.Cell{Text: fmt.Sprintf("%.3g", g.Value)}, render.Cell{Text: fmt.Sprintf("%s %.3g", sign, g.Limit)})
	}
	return t.Render(s)
}
