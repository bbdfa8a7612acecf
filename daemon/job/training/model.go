package training

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"durable/ipc/task"
)

// model is what the model's file says of itself.
type model struct {
	Format   int       `json:"format"`
	Name     string    `json:"name"`
	Labels   []string  `json:"labels"`
	Layers   []int     `json:"layers"`
	Features *features `json:"features"`
	Epochs   int       `json:"epochs"`
	Size     int       `json:"dataset_size"`
	Seed     int64     `json:"seed"`
	Accuracy *float64  `json:"test_accuracy,omitempty"`
}

const (
	modelFormat = 1
	idfName     = "idf"
)

func (t *training) artifact(name string) string { return filepath.Join(t.left, name) }

// finish tests the network on what it has never seen, and leaves it as an artifact.
func (t *training) finish(ctx context.Context, resumed int) (*result, error) {
	d := t.data
	early := t.stopsEarly()
	if t.p.Patience > 0 && t.at.Best != t.at.Epoch {
		if err := t.back(); err != nil {
			return nil, err
		}
	}
	last := t.series[len(t.series)-1].shown()
	if t.p.Patience > 0 {
		last = t.series[t.at.Best-1].shown()
	}
	res := &result{
		ModelName: t.p.ModelName, Size: len(d.labels), Epochs: t.at.Epoch, Loss: last.Loss, Accuracy: last.Accuracy, Success: true,
		F1: last.F1, EarlyStopped: early, Model: fileModel, Labels: d.names, TrainSize: len(d.train), ValidateSize: len(d.validation),
		TestSize: len(d.test), Seed: *t.p.Seed, ResumedFrom: resumed, Metrics: thinned(t.series),
	}
	if t.p.Patience > 0 {
		res.BestEpoch = t.at.Best
	}
	if len(d.test) > 0 {
		f, err := t.pass(ctx, d.test, t.net.judge)
		if err != nil {
			return nil, err
		}
		res.TestLoss, res.TestAccuracy, res.TestF1 = &f.Loss, &f.Accuracy, &f.F1
		t.j.Logf("test: loss %.4f, accuracy %.4f, macro-F1 %.4f", f.Loss, f.Accuracy, f.F1)
	}
	if err := t.hook("model"); err != nil {
		return nil, err
	}
	if err := t.writeModel(res); err != nil {
		return nil, err
	}
	res.Seconds = float64(t.elapsed()) / 1e9
	return res, t.hook("end")
}

// back makes the network that of the best epoch.
func (t *training) back() error {
	numbers, _, err := t.read(t.at.BestFile)
	if err != nil {
		return err
	}
	sizes := t.net.sizes
	t.net.close()
	t.net, err = newNetwork(sizes, t.rate(), numbers)
	return err
}

// writeModel leaves the weights, without the optimizer's state, and how a record becomes a vector.
func (t *training) writeModel(res *result) error {
	numbers, err := t.net.numbers()
	if err != nil {
		return err
	}
	var weights []tensor
	for _, n := range numbers {
		if strings.HasPrefix(n.name, "/layer_") {
			weights = append(weights, n)
		}
	}
	f := t.data.features
	if f.Text != "" {
		weights = append(weights, tensor{name: idfName, shape: []int{len(f.idf)}, floats: f.idf})
	}
	m := model{
		Format: modelFormat, Name: t.p.ModelName, Labels: t.data.names, Layers: t.net.sizes, Features: f, Epochs: t.at.Epoch,
		Size: res.Size, Seed: *t.p.Seed, Accuracy: res.TestAccuracy,
	}
	return writeTensors(t.artifact(fileModel), m, weights)
}

// Model is a trained model. It is used by one goroutine at a time.
type Model struct {
	model
	net *network
}

// OpenModel reads a model's file.
func OpenModel(path string) (*Model, error) {
	m := &Model{}
	found, err := openTensors(path, &m.model)
	if err == nil {
		err = m.check(found)
	}
	if err != nil {
		var known *task.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, invalid("%s is no model of an ml_training: %w", path, err).WithHint("take the artifact %s of a completed task", fileModel)
	}
	var numbers []tensor
	for i := range len(m.Layers) - 1 {
		numbers = append(numbers, found["/"+layer(i)+"/weights"], found["/"+layer(i)+"/biases"])
	}
	m.Features.idf = found[idfName].floats
	m.Features.index()
	if m.net, err = newNetwork(m.Layers, 1, numbers); err != nil {
		return nil, fmt.Errorf("make the network: %w", err)
	}
	return m, nil
}

// check refuses a file whose parts do not fit to each other: what computes with them would reach beyond them.
func (m *model) check(found map[string]tensor) error {
	switch {
	case m.Format != modelFormat:
		return fmt.Errorf("format %d, want %d", m.Format, modelFormat)
	case m.Features == nil || len(m.Layers) < 2 || len(m.Labels) != m.Layers[len(m.Layers)-1] || m.Layers[0] != m.Features.Places:
		return errors.New("its parts do not fit")
	case m.Features.Text != "" && (m.Features.Places != textPlaces || len(found[idfName].floats) != textPlaces):
		return errors.New("no weights of words")
	case m.Features.Text == "" && newFeatures("", m.Features.Columns).Places != m.Features.Places:
		return errors.New("its columns do not fit")
	}
	for i := range len(m.Layers) - 1 {
		w, b := found["/"+layer(i)+"/weights"], found["/"+layer(i)+"/biases"]
		if len(w.shape) != 2 || w.shape[0] != m.Layers[i] || w.shape[1] != m.Layers[i+1] || len(w.floats) == 0 ||
			len(b.shape) != 1 || b.shape[0] != m.Layers[i+1] || len(b.floats) == 0 {
			return fmt.Errorf("layer %d does not fit", i)
		}
	}
	return nil
}

// Close gives back what the model holds.
func (m *Model) Close() { m.net.close() }
