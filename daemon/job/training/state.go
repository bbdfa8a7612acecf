package training

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"durable/ipc/task"
)

// position is the task's checkpoint: which file has the network as it was after an epoch.
type position struct {
	Epoch int    `json:"epoch"`
	File  string `json:"file"` // in the task's folder
	// Best is the epoch, with its file, that early stopping goes back to.
	Best     int    `json:"best,omitempty"`
	BestFile string `json:"best_file,omitempty"`
	// Data stands for what is learnt from.
	Data    string        `json:"data"`
	Elapsed task.Duration `json:"elapsed"`
}

// notes are what a checkpoint's file has beside the numbers.
type notes struct {
	Epoch  int     `json:"epoch"`
	Series []point `json:"series"`
}

func epochFile(epoch int) string { return fmt.Sprintf("epoch-%07d.safetensors", epoch) }

// kept is how many of the last checkpoints stay.
const kept = 2

// save makes the network durable, then the position that names it, and removes what is no longer needed. A crash in between leaves
// the position before, and the file that it names.
func (t *training) save() error {
	numbers, err := t.net.numbers()
	if err != nil {
		return fmt.Errorf("read the network: %w", err)
	}
	t.at.File = epochFile(t.at.Epoch)
	if err := writeTensors(filepath.Join(t.work, t.at.File), notes{t.at.Epoch, t.series}, numbers); err != nil {
		return err
	}
	if t.at.Best == t.at.Epoch {
		t.at.BestFile = t.at.File
	}
	if err := t.hook("saved"); err != nil {
		return err
	}
	t.at.Elapsed = t.elapsed()
	if err := t.j.Checkpoint(t.at); err != nil {
		return err
	}
	if err := t.hook("checkpoint"); err != nil {
		return err
	}
	return t.sweep()
}

// sweep removes the files of older epochs.
func (t *training) sweep() error {
	files, err := filepath.Glob(filepath.Join(t.work, "epoch-*"))
	if err != nil {
		return err
	}
	var needed []string
	for i := range kept {
		needed = append(needed, epochFile(t.at.Epoch-i))
	}
	needed = append(needed, t.at.BestFile)
	for _, f := range files {
		if slices.Contains(needed, filepath.Base(f)) {
			continue
		}
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(err, "remove", f)
		}
	}
	return nil
}

// restore goes back to the position, if there is one.
func (t *training) restore() ([]tensor, error) {
	found, err := t.j.Load(&t.at)
	if err != nil || !found {
		t.at = position{Data: t.data.sum}
		return nil, err
	}
	if t.at.Data != t.data.sum {
		return nil, errChanged(t.p.Dataset)
	}
	numbers, kept, err := t.read(t.at.File)
	if err != nil {
		return nil, err
	}
	if kept.Epoch != t.at.Epoch || len(kept.Series) != kept.Epoch {
		return nil, fmt.Errorf("checkpoint %s: it is of epoch %d, want %d", t.at.File, kept.Epoch, t.at.Epoch)
	}
	t.series = kept.Series
	t.before = t.at.Elapsed
	t.j.Logf("going on after epoch %d", t.at.Epoch)
	return numbers, nil
}

func (t *training) read(file string) ([]tensor, notes, error) {
	var n notes
	found, err := openTensors(filepath.Join(t.work, file), &n)
	if err != nil {
		return nil, n, task.Errorf(task.FailedPrecondition, "the checkpoint of the training cannot be read: %w", err).
			WithHint("begin anew: durablectl retry %d --fresh", t.j.Task().Number)
	}
	var numbers []tensor
	for _, v := range found {
		numbers = append(numbers, v)
	}
	slices.SortFunc(numbers, func(a, b tensor) int { return strings.Compare(a.name, b.name) })
	return numbers, n, nil
}
