package render_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// TestResults: what has parts is shown in parts, whatever it is, and nothing breaks the page.
func TestResults(t *testing.T) {
	var metrics []string
	for i := range 50 {
		metrics = append(metrics, fmt.Sprintf(`{"epoch":%d,"loss":%g,"accuracy":%g,"f1":%g,"val_loss":null,"seconds":0.1}`,
			i+1, 1/float64(i+1), 1-1/float64(i+2), 0.5+float64(i)/100))
	}
	result := `{"model_name":"m\u001b[31m","success":true,"final_loss":0.0211111,"split":{"train":4000,"test":{"seen":500}},"metrics":[` +
		strings.Join(metrics, ",") + `],"labels":[{"label":"ham","f1":0.98},{"label":"spam","f1":0.91}],"short":[1,2],"none":[],"empty":{},` +
		`"long":[` + strings.Repeat("100,", 99) + `100]}`
	got := render.Screen{}.Results(task.Task{Result: json.RawMessage(result)})
	for _, want := range []string{
		"  split\n    train  4000\n    test\n      seen  500\n",
		"  metrics  epochs 1 to 50\n", "  loss  1.0000 to 0.0200\n", " 1.0000 ┼╮\n", "  f1  0.5000 to 0.9900\n",
		"  labels\n    f1    label\n    0.98  ham\n    0.91  spam\n", "  long  100 items\n", "short       [1,2]\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, bad := range []string{"\x1b", "none", "val_loss", "seconds"} {
		if strings.Contains(got, bad) {
			t.Errorf("%q in\n%s", bad, got)
		}
	}
	for line := range strings.Lines((render.Screen{Width: 40}).Results(task.Task{Result: json.RawMessage(`{"metrics":[` + strings.Join(metrics, ",") + `]}`)})) {
		if render.Width(strings.TrimSuffix(line, "\n")) > 40 {
			t.Errorf("wider than the terminal: %q", line)
		}
	}
	deep := json.RawMessage(strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 50))
	for raw, want := range map[string]string{"": "", "null": "", "{}": "", `"x"`: "  x\n", "[1]": "  [1]\n", `{"metrics":[{"epoch":1}]}`: "epoch", `{"metrics":[null,null]}`: "metrics"} {
		if got := (render.Screen{}).Results(task.Task{Result: json.RawMessage(raw)}); !strings.Contains(got, strings.TrimSpace(want)) {
			t.Errorf("%q: %q", raw, got)
		}
	}
	if got := (render.Screen{}).Results(task.Task{Result: deep}); !strings.Contains(got, `{"a":`) {
		t.Errorf("deep: %q", got)
	}
}
