package training

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"durable/daemon/job"
	"durable/ipc/task"
)

// training is one attempt.
type training struct {
	j    *job.Context
	p    params
	hook func(string) error

	data   *data
	net    *network
	at     position
	series []point
	work   string
	left   string // the folder of the artifacts

	started  time.Time
	before   task.Duration // what earlier attempts took
	reported time.Time
	batch    batch
}

// result is what a training ends with: the first seven are the tutorial's.
type result struct {
	ModelName string  `json:"model_name"`
	Size      int     `json:"dataset_size"`
	Epochs    int     `json:"epochs_completed"`
	Loss      float64 `json:"final_loss"`
	Accuracy  float64 `json:"final_accuracy"`
	Success   bool    `json:"success"`
	Seconds   float64 `json:"training_time_seconds"`

	F1           float64  `json:"final_f1"`
	TestLoss     *float64 `json:"test_loss,omitempty"`
	TestAccuracy *float64 `json:"test_accuracy,omitempty"`
	TestF1       *float64 `json:"test_f1,omitempty"`
	EarlyStopped bool     `json:"early_stopped"`
	BestEpoch    int      `json:"best_epoch,omitempty"`
	Model        string   `json:"model"` // artifact
	Labels       []string `json:"labels"`
	TrainSize    int      `json:"train_size"`
	ValidateSize int      `json:"validation_size"`
	TestSize     int      `json:"test_size"`
	Seed         int64    `json:"seed"`
	ResumedFrom  int      `json:"resumed_from"`
	Metrics      []point  `json:"metrics"`
}

// Artifacts.
const (
	fileModel  = "model.safetensors"
	fileSeries = "metrics.csv"
)

func (t *training) elapsed() task.Duration { return t.before + task.Duration(time.Since(t.started)) }

// run goes on from the epoch that the last attempt reached.
func (t *training) run(ctx context.Context) (_ *result, err error) {
	t.started = time.Now()
	if t.work, err = t.j.WorkDir(); err != nil {
		return nil, err
	}
	if t.left, err = t.j.ArtifactsDir(); err != nil {
		return nil, err
	}
	if t.data, err = loadData(&t.p, func(message string) error { return t.reading(ctx, message) }); err != nil {
		return nil, err
	}
	if err := t.begin(); err != nil {
		return nil, err
	}
	defer t.net.close()
	resumed := t.at.Epoch
	for t.at.Epoch < t.p.Epochs && !t.stopsEarly() {
		if err := t.epoch(ctx); err != nil {
			return nil, err
		}
	}
	if err := writeSeries(t.artifact(fileSeries), t.series); err != nil {
		return nil, err
	}
	return t.finish(ctx, resumed)
}

// begin makes the network, a new one or that of the position.
func (t *training) begin() error {
	d := t.data
	sizes := append([]int{d.features.Places}, t.hidden()...)
	sizes = append(sizes, len(d.names))
	if err := t.affordable(sizes); err != nil {
		return err
	}
	numbers, err := t.restore()
	if err != nil {
		return err
	}
	if numbers == nil {
		t.j.Logf("%d samples to train on, %d for validation, %d for the test; labels: %s; layers: %v",
			len(d.train), len(d.validation), len(d.test), listed(d.names), sizes)
		inputs := max(1, len(d.features.Columns))
		if d.features.Text != "" {
			inputs = usualWords
		}
		numbers = freshNumbers(sizes, inputs, *t.p.Seed)
	}
	if t.net, err = newNetwork(sizes, t.rate(), numbers); err != nil {
		return fmt.Errorf("make the network: %w", err)
	}
	return nil
}

// usualWords is how many words a text is taken to have, where the first weights are drawn.
const usualWords = 1000

func (t *training) affordable(sizes []int) error {
	numbers := 0
	for i := range len(sizes) - 1 {
		numbers += (sizes[i] + 1) * sizes[i+1]
	}
	if numbers <= maxNumbers {
		return nil
	}
	return task.Errorf(task.ResourceExhausted, "the network would have %d weights, the limit is %d", numbers, maxNumbers).
		WithHint("make the hidden layers smaller: %v now; %d places come in and %d classes go out", t.hidden(), sizes[0], sizes[len(sizes)-1])
}

// Defaults that depend on what is learnt from: a text has so many places that a straight border is enough.
func (t *training) hidden() []int {
	switch {
	case t.p.Hidden != nil:
		return *t.p.Hidden
	case t.p.Text != "":
		return nil
	}
	return []int{32}
}

func (t *training) rate() float64 {
	switch {
	case t.p.Rate > 0:
		return t.p.Rate
	case len(t.hidden()) == 0:
		return 0.02
	case t.p.Text != "":
		return 0.005
	}
	return 0.002
}

// epoch trains on every sample once, in an order that the seed and the number of the epoch give, and makes the outcome durable.
func (t *training) epoch(ctx context.Context) error {
	began, number := time.Now(), t.at.Epoch+1
	order := slices.Clone(t.data.train)
	rng := random(*t.p.Seed, streamShuffle+uint64(number))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	trained, err := t.pass(ctx, order, t.net.step)
	if err != nil {
		return err
	}
	now := point{Epoch: number, figures: trained}
	if len(t.data.validation) > 0 {
		held, err := t.pass(ctx, t.data.validation, t.net.judge)
		if err != nil {
			return err
		}
		now.validated(held)
	}
	if bad := max(now.Loss, now.shown().Loss); math.IsNaN(bad) || math.IsInf(bad, 0) || bad > maxLoss {
		return t.diverged(number, bad)
	}
	now.Seconds = math.Round(1000*time.Since(began).Seconds()) / 1000
	if err := t.hook("epoch"); err != nil {
		return err
	}
	t.series = append(t.series, now)
	t.at.Epoch = number
	if t.at.Best == 0 || now.shown().Loss < t.series[t.at.Best-1].shown().Loss {
		t.at.Best = number
	}
	if err := t.save(); err != nil {
		return err
	}
	t.report(now)
	return nil
}

// maxLoss is beyond what any network that still learns has: guessing among 1000 classes is at 7.
const maxLoss = 1e4

func (t *training) diverged(epoch int, loss float64) error {
	return job.Permanent(task.Errorf(task.FailedPrecondition, "the training diverged in epoch %d: the loss is %g", epoch, loss).
		WithHint("start it anew with a smaller learning_rate: it was %g; or look for figures in the data that are far out", t.rate()))
}

// pass shows some records to the network, in that order, and measures.
func (t *training) pass(ctx context.Context, records []int32, show func(*batch) ([]float32, error)) (figures, error) {
	m := newMeter(len(t.data.names))
	for part := range slices.Chunk(records, t.p.Batch) {
		if ctx.Err() != nil {
			return figures{}, context.Cause(ctx)
		}
		t.batch.fill(t.data.vectors, t.data.labels, part, t.p.Batch)
		logits, err := show(&t.batch)
		if err != nil {
			return figures{}, fmt.Errorf("compute: %w", err)
		}
		m.add(logits, &t.batch)
		if math.IsNaN(m.loss) {
			return figures{}, t.diverged(t.at.Epoch+1, m.loss)
		}
	}
	return m.figures(), nil
}

func (t *training) stopsEarly() bool {
	return t.p.Patience > 0 && t.at.Epoch-t.at.Best >= t.p.Patience
}

// report tells of an epoch, in the tutorial's words.
func (t *training) report(p point) {
	f := p.shown()
	message := fmt.Sprintf("Epoch %d/%d - Loss: %.4f, Accuracy: %.4f", p.Epoch, t.p.Epochs, f.Loss, f.Accuracy)
	t.j.Progress(task.Progress{Done: int64(p.Epoch), Total: task.Total(int64(t.p.Epochs)), Unit: "epochs", Message: message})
	t.j.Logf("%s (training %.4f, %.4f; macro-F1 %.4f; %.3fs)", message, p.Loss, p.Accuracy, f.F1, p.Seconds)
}

// reading tells how far the data set is read, and ends it with ctx.
func (t *training) reading(ctx context.Context, message string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	const every = 100 * time.Millisecond
	if now := time.Now(); now.Sub(t.reported) >= every {
		t.reported = now
		var at position
		_, _ = t.j.Load(&at) // for show only
		t.j.Progress(task.Progress{Done: int64(at.Epoch), Total: task.Total(int64(t.p.Epochs)), Unit: "epochs", Message: message})
	}
	return nil
}
