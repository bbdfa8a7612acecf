package progress

import (
	"fmt"
	"regexp"
	"strings"

	"durable/ipc/task"
)

var (
	epochShape  = regexp.MustCompile(`(?i)(?:^|[\s\[(|>])epoch\s*[:#]?\s*\[?\s*(\d{1,7})\s*(?:/|of)\s*(\d{1,7})(?:$|[\s\]):,;|-])(.*)$`)
	metricShape = regexp.MustCompile(`(?i)([a-z_][\w./-]*)\s*[:=]\s*([-+]?\d[\d.]*(?:e[-+]?\d+)?%?)(?:$|[\s,;|\])-])`)
	metricName  = regexp.MustCompile(`(?i)loss|acc|f1|auc|perplexity|ppl|mae|mse|rmse|precision|recall|bleu|wer|dice|iou|error`)
	innerShape  = regexp.MustCompile(`(?:^|[\s\[:(])(\d{1,12})/(\d{1,12})(?:$|[\s\],:)])`)
	innerMeter  = regexp.MustCompile(`(?:^|\s)(\d{1,3})%\|`)
)

// maxMetrics is how many metrics a message has.
const maxMetrics = 6

// epochs reads the training loops of Keras ("Epoch 3/10", below it the metrics), PyTorch ("Epoch [3/10], Loss: 0.2") and
// the like. An epoch counts as done when its line has metrics and no step that is unfinished, or when the next begins.
type epochs struct {
	i, n    int64
	done    bool // epoch i is over
	zero    bool // they count from 0 to n
	metrics string
	inner   string
}

func (e *epochs) match(line string, whole bool) (match, bool) {
	var g []string
	if strings.Contains(line, "poch") || strings.Contains(line, "POCH") {
		g = epochShape.FindStringSubmatch(line)
	}
	if g == nil {
		return e.below(line, whole)
	}
	i, ok1 := count(g[1])
	n, ok2 := count(g[2])
	if !ok1 || !ok2 || n == 0 || i > n {
		return match{}, false
	}
	rest := g[3]
	if !whole && (rest == "" || metricShape.MatchString(rest) && !strings.Contains(rest, "%|")) {
		return match{}, false // a number may go on
	}
	e.zero = i == 0 || e.zero && n == e.n && i >= e.i
	if i != e.i || n != e.n {
		e.metrics = ""
	}
	e.i, e.n, e.done, e.inner = i, n, false, ""
	e.take(rest, true)
	return e.report(), true
}

// below reads a line under that of an epoch.
func (e *epochs) below(line string, whole bool) (match, bool) {
	if e.n == 0 || !whole && !strings.Contains(line, "%|") {
		return match{}, false
	}
	if !e.take(line, false) {
		return match{}, false
	}
	return e.report(), true
}

// take reads metrics and steps of a line, and reports whether there were metrics, or steps in a tqdm.
func (e *epochs) take(text string, own bool) bool {
	metrics := metricsOf(text)
	step, whole, stepped := stepOf(text)
	if metrics == "" && !strings.Contains(text, "%|") {
		return false
	}
	if metrics != "" {
		e.metrics = metrics
	}
	if stepped {
		e.inner = step
		e.done = whole
	} else if own {
		e.done = metrics != ""
	}
	return true
}

// stepOf finds a place within the epoch: "45%|" of a tqdm, "1200/1875" of Keras.
func stepOf(text string) (step string, whole, ok bool) {
	if g := innerMeter.FindStringSubmatch(text); g != nil {
		return g[1] + "%", g[1] == "100", true
	}
	g := innerShape.FindStringSubmatch(text)
	if g == nil {
		return "", false, false
	}
	k, ok1 := count(g[1])
	m, ok2 := count(g[2])
	return "step " + g[1] + "/" + g[2], k == m, ok1 && ok2 && k <= m && m > 0
}

// metricsOf returns what of text are figures of a model: "loss 0.21, accuracy 0.93".
func metricsOf(text string) string {
	var found []string
	for _, g := range metricShape.FindAllStringSubmatch(text, -1) {
		if metricName.MatchString(g[1]) && len(found) < maxMetrics {
			found = append(found, g[1]+" "+strings.TrimRight(g[2], "."))
		}
	}
	return strings.Join(found, ", ")
}

func (e *epochs) report() match {
	done, total := e.i-1, e.n
	if e.zero {
		done, total = e.i, e.n+1
	}
	message := fmt.Sprintf("epoch %d/%d", e.i, e.n)
	if e.done {
		done++
	} else if e.inner != "" {
		message += ", " + e.inner
	}
	if e.metrics != "" {
		message += ", " + e.metrics
	}
	return match{key: "epoch", rank: rankEpoch, sure: true, at: float64(done), p: task.Progress{
		Done: max(0, done), Total: task.Total(total), Unit: "epochs", Message: clean(message),
	}}
}
