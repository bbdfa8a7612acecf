package render

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"durable/ipc/task"
)

// Duration returns d in its two largest units: "30ms", "0.4s", "42s", "3m8s", "2h5m", "3d4h". Less than nothing
// is nothing: clocks are set back.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d > 0 && d < 100*time.Millisecond:
		return fmt.Sprintf("%dms", max(1, d/time.Millisecond))
	case d < 9950*time.Millisecond && d%time.Second != 0: // what comes in whole seconds is shown so
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d.Round(time.Second) < time.Minute:
		return fmt.Sprintf("%ds", int(d.Round(time.Second).Seconds()))
	case d.Round(time.Second) < time.Hour:
		return pair(d.Round(time.Second), time.Minute, "m", time.Second, "s")
	case d.Round(time.Minute) < day:
		return pair(d.Round(time.Minute), time.Hour, "h", time.Minute, "m")
	case d.Round(time.Hour) < 100*day:
		return pair(d.Round(time.Hour), day, "d", time.Hour, "h")
	default:
		return fmt.Sprintf("%dd", int(math.Round(d.Hours()/24)))
	}
}

// pair writes d in two units, the second only if there is something of it.
func pair(d, big time.Duration, bigName string, small time.Duration, smallName string) string {
	text := fmt.Sprintf("%d%s", d/big, bigName)
	if rest := d % big / small; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, smallName)
	}
	return text
}

// Age returns how long ago t was, in one unit: "now", "42s", "3m", "2h", "5d".
func Age(t, now time.Time) string {
	const day = 24 * time.Hour
	switch d := now.Sub(t); {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/day)
	}
}

// ago is Age as a phrase.
func ago(t, now time.Time) string {
	if age := Age(t, now); age != "now" {
		return age + " ago"
	}
	return "just now"
}

// Bytes returns n in binary units: "1.2 MiB".
func Bytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Count returns n with its thousands apart: "100,000".
func Count(n int64) string { return humanize.Comma(n) }

// Rate returns units a second, with a decimal only where it matters: "512/s", "0.4/s".
func Rate(r float64, unit string) string {
	digits := 0
	if r < 10 {
		digits = 1
	}
	text := humanize.CommafWithDigits(r, digits)
	if unit = Clean(unit); unit != "" {
		text += " " + unit
	}
	return text + "/s"
}

// Percent returns how far p is, "" where that is not known. It says 100 only when all is done.
func Percent(p task.Progress) string {
	if percent, ok := p.Percent(); ok {
		return fmt.Sprintf("%d%%", int(percent))
	}
	return ""
}

// percentOf is how far p is. What has completed is not half done, whatever it said last (a program that ends well need not say that): then
// there is no figure.
func percentOf(status task.Status, p task.Progress) (float64, bool) {
	percent, known := p.Percent()
	if status == task.StatusCompleted && percent < 100 {
		return 0, false
	}
	return percent, known
}

// eighths are the characters that fill a column by eighths.
const eighths = " ▏▎▍▌▋▊▉"

// Bar returns a bar of width columns filled to percent: "██████▌░░░░░".
func Bar(percent float64, width int) string {
	if width <= 0 {
		return ""
	}
	filled := int(min(100, max(0, percent)) / 100 * float64(width) * 8)
	bar := strings.Repeat("█", filled/8)
	if rest := filled % 8; rest > 0 {
		bar += string([]rune(eighths)[rest])
	}
	return bar + strings.Repeat("░", width-Width(bar))
}
