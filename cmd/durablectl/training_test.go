package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTrainingParams: flags become the kind's parameters, and only those that were given.
func TestTrainingParams(t *testing.T) {
	cmd := newStartTraining(&cli{})
	args := []string{"m", "--dataset", "/d.csv", "--epochs", "3", "--hidden", "64,32", "--learning-rate", "0.5", "--early-stopping", "2"}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	got, err := trainingParams(cmd, cmd.Flags().Args(), command{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"model_name": "m", "dataset": "/d.csv", "epochs": 3, "hidden": []int{64, 32}, "learning_rate": 0.5, "early_stopping": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if none, err := widths("none"); err != nil || len(none) != 0 || none == nil {
		t.Errorf("%v, %v", none, err)
	}
	if _, err := widths("wide"); err == nil {
		t.Error("wide: taken")
	}
}
