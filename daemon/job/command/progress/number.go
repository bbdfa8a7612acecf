package progress

import (
	"math"
	"strconv"
	"strings"
	"time"

	"durable/ipc/task"
)

// maxCount bounds what is taken for a count; beyond it a number is an ID or noise.
const maxCount = 1e15

// scales are the suffixes that programs write behind numbers.
var scales = map[string]float64{
	"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

// count reads "1,234", "1_234", "2.10M" and "760k".
func count(s string) (int64, bool) {
	digits := strings.TrimRight(s, "kKMGTi")
	scale, ok := scales[s[len(digits):]]
	if !ok || digits == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.NewReplacer(",", "", "_", "").Replace(digits), 64)
	if err != nil || v < 0 || v*scale > maxCount || math.IsNaN(v) {
		return 0, false
	}
	return int64(math.Round(v * scale)), true
}

// percent reads "42" and "42.5": 0 to 100.
func percent(s string) (float64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && v >= 0 && v <= 100
}

// clock reads "00:12", "1:02:03" and "2-01:02:03".
func clock(s string) (time.Duration, bool) {
	var total int64
	if days, rest, ok := strings.Cut(s, "-"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, false
		}
		total, s = int64(n)*24, rest
		if strings.Count(s, ":") != 2 {
			return 0, false
		}
		h, rest, _ := strings.Cut(s, ":")
		hours, err := strconv.ParseUint(h, 10, 8)
		if err != nil {
			return 0, false
		}
		total, s = total+int64(hours), rest
	}
	for part := range strings.SplitSeq(s, ":") {
		n, err := strconv.ParseUint(part, 10, 24)
		if err != nil {
			return 0, false
		}
		if total = total*60 + int64(n); total > 1e8 {
			return 0, false
		}
	}
	return time.Duration(total) * time.Second, strings.Contains(s, ":")
}

// ofHundred is the report of a percentage.
func ofHundred(pct float64, message string) task.Progress {
	return task.Progress{Done: int64(pct), Total: task.Total(100), Unit: "%", Message: clean(message)}
}

// maxMessage bounds a report's message, in bytes.
const maxMessage = 200

// clean makes a message of what a program wrote: one line, valid text, not too long.
func clean(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + " ..."
	}
	return s
}

// etaOf returns d for task.Progress.ETA.
func etaOf(d time.Duration) *task.Duration {
	v := task.Duration(d)
	return &v
}
