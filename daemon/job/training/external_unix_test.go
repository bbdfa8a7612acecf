//go:build unix

package training

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"durable/daemon/job/command"
	"durable/daemon/job/jobtest"
	"durable/daemon/shim"
	"durable/ipc/task"
)

// byProgram prepares a training by a program under the real durable-shim, which is built here.
func byProgram(t *testing.T, env map[string]string, words ...string) *line {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "durable-shim")
	if out, err := exec.Command("go", "build", "-o", path, "durable/cmd/durable-shim").CombinedOutput(); err != nil {
		t.Fatalf("build durable-shim: %v\n%s", err, out)
	}
	k := New(command.Options{Launcher: shim.Launcher{Program: path}, Tools: dir})
	plan, err := k.Prepare(t.Context(), task.Spec{Params: jsonOf(t, "command", words, "cwd", dir, "epochs", 3, "env", env)})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Effects) != 1 || plan.Effects[0].Act != task.ActRun || strings.Contains(string(plan.Params), "hidden-value") ||
		!strings.Contains(string(plan.Params), `"epochs":3`) {
		t.Errorf("%+v %s", plan.Effects, plan.Params)
	}
	id := task.ID(fmt.Sprintf("training-%d-%s", os.Getpid(), filepath.Base(dir)))
	l := &line{t: t, kind: k, host: jobtest.New(t), task: task.Task{ID: id, RootID: id, Number: 7, Params: plan.Params}}
	l.host.SetSecrets(plan.Secrets)
	return l
}

// TestProgram: a program's own training has metrics, progress, and the tutorial's result.
func TestProgram(t *testing.T) {
	script := `echo "Epoch 1/3 - loss: 0.9 - accuracy: 55% - val_accuracy: 0.5"
echo "Epoch 2/3"; echo "loss: 0.5 - val_accuracy: 0.7"
echo "Epoch 3/3 - loss: 0.25 - val_loss: 0.3 - val_accuracy: 0.75, val_f1: 0.74"; test -d "$DURABLE_CHECKPOINT_DIR"`
	l := byProgram(t, map[string]string{"TOKEN": "hidden-value"}, "/bin/sh", "-c", script)
	l.task.Attempt = 1
	v, err := l.kind.Run(t.Context(), l.host.Context(l.task))
	if err != nil {
		t.Fatalf("%v\n%s", err, l.host.Output())
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var res result
	if err := json.Unmarshal(text, &res); err != nil {
		t.Fatal(err)
	}
	if res.ModelName != "m" || res.Epochs != 3 || res.Loss != 0.3 || res.Accuracy != 0.75 || res.F1 != 0.74 || !res.Success || len(res.Metrics) != 3 {
		t.Errorf("%s", text)
	}
	want := seriesHeader + "1,0.9,0.55,,,0.5,,\n2,0.5,,,,0.7,,\n3,0.25,,,0.3,0.75,0.74,\n"
	if got := l.artifact(fileSeries); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	reports := l.host.Reports()
	if last := reports[len(reports)-1]; last.Done != 3 || last.Unit != "epochs" {
		t.Errorf("%+v", last)
	}
	revived, err := l.kind.Revive(t.Context(), l.task, task.RetryRequest{Env: map[string]string{"TOKEN": "hidden-value"}})
	if err != nil || len(revived.Secrets) == 0 || !strings.Contains(string(revived.Params), `"model_name":"m"`) {
		t.Errorf("%s, %v", revived.Params, err)
	}
}

// TestProgramFails: what it has told before it failed is kept.
func TestProgramFails(t *testing.T) {
	l := byProgram(t, nil, "/bin/sh", "-c", `echo "Epoch 1/3 - loss: 0.9"; echo broken >&2; exit 3`)
	l.task.Attempt = 1
	_, err := l.kind.Run(t.Context(), l.host.Context(l.task))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	if got := l.artifact(fileSeries); got != seriesHeader+"1,0.9,,,,,,\n" {
		t.Errorf("%s", got)
	}
}
