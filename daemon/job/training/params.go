package training

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"durable/daemon/job"
	"durable/ipc/task"
)

// Defaults and limits of the parameters.
const (
	defaultSize   = 10_000 // samples that are made
	defaultEpochs = 100
	defaultBatch  = 32
	defaultHeld   = 0.1 // of the samples, for validation and for the test each

	maxSize    = 100_000_000
	maxEpochs  = 1_000_000
	maxBatch   = 4096
	maxLayers  = 8
	maxWidth   = 4096
	maxName    = 200
	maxNumbers = 20 << 20 // that a model may learn: four times as much memory, and a checkpoint of twelve bytes each
)

// params are the parameters as callers give them and as Prepare leaves them: defaults filled in.
type params struct {
	ModelName string   `json:"model_name"`
	Size      *int     `json:"dataset_size,omitempty"` // nil: all of the data set
	Epochs    int      `json:"epochs,omitempty"`
	Dataset   string   `json:"dataset,omitempty"`
	Text      string   `json:"text_column,omitempty"`
	Label     string   `json:"label_column,omitempty"`
	Batch     int      `json:"batch_size,omitempty"`
	Rate      float64  `json:"learning_rate,omitempty"`
	Seed      *int64   `json:"seed,omitempty"`
	Validate  *float64 `json:"validation_split,omitempty"`
	Test      *float64 `json:"test_split,omitempty"`
	Patience  int      `json:"early_stopping,omitempty"`
	Hidden    *[]int   `json:"hidden,omitempty"`

	program // with a command it is that which trains
}

// program are the parameters of the kind command that this kind takes too.
type program struct {
	Command []string          `json:"command,omitempty"`
	Cwd     string            `json:"cwd,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Environ []string          `json:"environ,omitempty"`

	// Program and Environment are Prepare's.
	Program     string `json:"program,omitempty"`
	Environment string `json:"environment,omitempty"`
}

func invalid(format string, args ...any) *task.Error {
	return task.Errorf(task.InvalidArgument, format, args...)
}

// decodeParams reads the parameters; an unknown one is refused by name.
func decodeParams(raw json.RawMessage) (params, error) {
	var p params
	err := job.Decode(raw, &p, "ml_training takes model_name, dataset_size, epochs, dataset, text_column, label_column, batch_size, "+
		"learning_rate, seed, validation_split, test_split, early_stopping and hidden, or command with cwd and env")
	return p, err
}

// normalize checks what can be checked without looking at the disk, and fills in the defaults.
func (p *params) normalize() error {
	p.ModelName = strings.TrimSpace(p.ModelName)
	switch {
	case p.ModelName == "":
		return invalid("model_name: missing").WithHint("any name for people: it is what the model is called in results")
	case len(p.ModelName) > maxName || !utf8.ValidString(p.ModelName):
		return invalid("model_name: want at most %d bytes of UTF-8", maxName)
	case p.Size != nil && (*p.Size < 1 || *p.Size > maxSize):
		return invalid("dataset_size: %d, want 1 to %d", *p.Size, maxSize).WithHint("leave dataset_size out to train on all of a data set")
	case p.Epochs < 0 || p.Epochs > maxEpochs:
		return invalid("epochs: %d, want 1 to %d", p.Epochs, maxEpochs)
	}
	if p.Epochs == 0 {
		p.Epochs = defaultEpochs
	}
	if len(p.Command) > 0 {
		return p.onlyCommand()
	}
	if p.Cwd != "" || len(p.Env) > 0 {
		return invalid("cwd and env: only with command")
	}
	p.program = program{} // whose environment it is does not matter here
	return p.normalizeOwn()
}

// onlyCommand refuses what a program of the user's own would not get to know.
func (p *params) onlyCommand() error {
	for name, given := range map[string]bool{
		"dataset": p.Dataset != "", "text_column": p.Text != "", "label_column": p.Label != "", "batch_size": p.Batch != 0,
		"learning_rate": p.Rate != 0, "seed": p.Seed != nil, "validation_split": p.Validate != nil, "test_split": p.Test != nil,
		"early_stopping": p.Patience != 0, "hidden": p.Hidden != nil,
	} {
		if given {
			return invalid("%s and command: the program does not get to know it", name).WithHint("give it to the program, among its arguments in command")
		}
	}
	return nil
}

// normalizeOwn is normalize for what trains here.
func (p *params) normalizeOwn() error {
	if p.Dataset == "" {
		if p.Text != "" || p.Label != "" {
			return invalid("text_column and label_column: only with dataset")
		}
		if p.Size == nil {
			p.Size = ref(defaultSize)
		}
	} else {
		path, err := absolute(p.Dataset)
		if err != nil {
			return err
		}
		p.Dataset = path
	}
	setDefault(&p.Batch, defaultBatch)
	if p.Seed == nil {
		p.Seed = ref(int64(1))
	}
	if p.Validate == nil {
		p.Validate = ref(defaultHeld)
	}
	if p.Test == nil {
		p.Test = ref(defaultHeld)
	}
	switch {
	case p.Batch < 1 || p.Batch > maxBatch:
		return invalid("batch_size: %d, want 1 to %d", p.Batch, maxBatch)
	case p.Rate < 0:
		return invalid("learning_rate: %g, want more than 0", p.Rate).WithHint("0.01 is a usual one")
	case *p.Validate < 0 || *p.Test < 0 || *p.Validate > 0.9 || *p.Test > 0.9 || *p.Validate+*p.Test > 0.9:
		return invalid("validation_split %g and test_split %g: want parts of all samples from 0, together at most 0.9", *p.Validate, *p.Test).
			WithHint("0.1 each is usual: 0.8 are left to train on")
	case p.Patience < 0:
		return invalid("early_stopping: %d, want 0 (never) or a number of epochs", p.Patience)
	case p.Patience > 0 && *p.Validate == 0:
		return invalid("early_stopping: needs samples for validation, and validation_split is 0")
	}
	return p.checkHidden()
}

func (p *params) checkHidden() error {
	if p.Hidden == nil {
		return nil
	}
	if len(*p.Hidden) > maxLayers {
		return invalid("hidden: %d layers, want at most %d", len(*p.Hidden), maxLayers)
	}
	for _, width := range *p.Hidden {
		if width < 1 || width > maxWidth {
			return invalid("hidden: a layer of %d, want 1 to %d", width, maxWidth).WithHint("such as [64, 32]; [] for none")
		}
	}
	return nil
}

// title is what the task is called unless the caller says otherwise.
func (p *params) title() string {
	what := "made samples"
	if len(p.Command) > 0 {
		what = filepath.Base(p.Command[0])
	} else if p.Dataset != "" {
		what = filepath.Base(p.Dataset)
	}
	return fmt.Sprintf("train %s on %s", p.ModelName, what)
}

// absolute expands ~ and refuses what is no absolute path of this machine.
func absolute(path string) (string, error) {
	if strings.ContainsRune(path, 0) {
		return "", invalid("dataset: holds a NUL byte")
	}
	if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~\`) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", invalid("dataset: %s: no home folder: %w", path, err).WithHint("give an absolute path")
		}
		path = filepath.Join(home, path[1:])
	}
	if !filepath.IsAbs(path) {
		return "", invalid("dataset: %s is a relative path", path).
			WithHint("give an absolute path: the daemon has no folder of yours to start from")
	}
	return filepath.Clean(path), nil
}

func ref[T any](v T) *T { return &v }

func setDefault(n *int, v int) {
	if *n == 0 {
		*n = v
	}
}
