package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"durable/cmd/durablectl/internal/render"
	"durable/ipc/task"
)

// modelArtifact is where a training leaves its model.
const modelArtifact = "model.safetensors"

func newPredict(c *cli) *cobra.Command {
	var (
		texts []string
		file  string
	)
	cmd := &cobra.Command{
		Use:   "predict TASK",
		Short: "Ask the model that a training has made",
		Long: `Ask the model that a training has made: about texts, or about records, one JSON object a line, from a
file or from stdin. Each is answered with a line: the label, and how sure the model is of it.
With --json the answer is a JSON object a line, with the scores of all labels.`,
		Example: `  durablectl predict 42 --text 'win a prize now'
  echo '{"size":3,"color":"red"}' | durablectl predict 42 --json`,
		Args:              exactly("TASK"),
		ValidArgsFunction: c.completeTasks(true),
		RunE: do(func(ctx context.Context, args []string) error {
			in, done, err := records(c.in, texts, file)
			if err != nil {
				return err
			}
			defer done()
			return c.predict(ctx, task.Ref(args[0]), in)
		}),
	}
	cmd.Flags().StringArrayVar(&texts, "text", nil, "ask about this `TEXT`; may be repeated")
	cmd.Flags().StringVarP(&file, "file", "f", "", "ask about the records of this JSON Lines `FILE` (default: stdin)")
	cmd.MarkFlagsMutuallyExclusive("text", "file")
	return cmd
}

// records returns what is asked about, one JSON object a line.
func records(in io.Reader, texts []string, file string) (io.Reader, func(), error) {
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return nil, nil, usage("--file: %s", err)
		}
		return f, func() { _ = f.Close() }, nil // it is only read
	}
	if len(texts) == 0 {
		return in, func() {}, nil
	}
	var lines bytes.Buffer
	for _, text := range texts {
		if err := json.NewEncoder(&lines).Encode(map[string]string{"text": text}); err != nil {
			return nil, nil, err
		}
	}
	return &lines, func() {}, nil
}

// predict fetches the model and runs durabled on it, which alone has what it takes to compute.
func (c *cli) predict(ctx context.Context, ref task.Ref, in io.Reader) (err error) {
	dir, err := os.MkdirTemp("", "durable-model-")
	if err != nil {
		return task.Errorf(task.Internal, "%w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a model too many does no harm
	model := filepath.Join(dir, modelArtifact)
	err = c.copyArtifact(ctx, ref, modelArtifact, model)
	if errors.Is(err, task.NotFound) && task.AsError(err).Hint == "" {
		err = task.AsError(err).WithHint("a training leaves its model when it has completed: durablectl status %s", ref)
	}
	if err != nil {
		return err
	}
	program, err := beside("durabled")
	if err != nil {
		return err
	}
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "predict", "--model", model)
	cmd.Stdin, cmd.Stderr = in, &complaint
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return task.Errorf(task.Unavailable, "%s: %w", program, err)
	}
	printed := c.predictions(out)
	if err := cmd.Wait(); err != nil && printed == nil {
		return complained(complaint.String(), err)
	}
	return printed
}

// predictions prints the answers as they come.
func (c *cli) predictions(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if c.json {
			if err := c.write(lines.Text() + "\n"); err != nil {
				return err
			}
			continue
		}
		var p struct {
			Label  string
			Scores map[string]float64
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return task.Errorf(task.Internal, "durabled predict: %w", err)
		}
		if err := c.write(fmt.Sprintf("%s\t%.4f\n", render.Clean(p.Label), p.Scores[p.Label])); err != nil {
			return err
		}
	}
	return writeError(0, lines.Err())
}

// complained makes an error of what durabled has said: "durabled: error: ...", then "hint: ...".
func complained(text string, err error) error {
	message, hint, _ := strings.Cut(strings.TrimSpace(text), "\nhint: ")
	message = strings.TrimPrefix(message, "durabled: error: ")
	if message == "" {
		message = err.Error()
	}
	return task.Errorf(task.InvalidArgument, "predict: %s", message).WithHint("%s", hint)
}

// beside finds a program of ours in the folder of this one.
func beside(name string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", task.Errorf(task.Internal, "find %s: %w", name, err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err != nil {
		return "", task.Errorf(task.FailedPrecondition, "%s is not beside %s", name, self).WithHint("install all programs of durable into one folder")
	}
	return path, nil
}
