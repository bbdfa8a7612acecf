package training

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"durable/ipc/task"
)

// data is what is learnt from, in memory. The same parameters and the same file make the same, bit for bit.
type data struct {
	features *features
	vectors  *vectors
	labels   []int32
	names    []string // of the labels, in order
	sum      string   // of what it was made of

	train, validation, test []int32
}

// Streams of the seed: what is drawn for one purpose does not move another.
const (
	streamSamples = iota + 1
	streamChoice
	streamSplit
	streamWeights
	streamShuffle = 1 << 32 // and the epoch
)

func random(seed int64, stream uint64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), stream)) }

// loadData reads or makes the samples. tick gets what is to be told, now and then.
func loadData(p *params, tick func(string) error) (*data, error) {
	d, err := readOrMake(p, tick)
	if err != nil {
		return nil, err
	}
	d.split(*p.Seed, *p.Validate, *p.Test)
	if len(d.train) == 0 {
		return nil, task.Errorf(task.FailedPrecondition, "%d samples: none are left to train on", len(d.labels)).
			WithHint("give more, or a smaller validation_split and test_split")
	}
	d.features.fit(d.vectors, d.train)
	for i := range d.vectors.len() {
		d.features.weigh(d.vectors.at(int32(i)))
	}
	return d, nil
}

func readOrMake(p *params, tick func(string) error) (*data, error) {
	if p.Dataset == "" {
		return makeData(*p.Seed, *p.Size), tick("made the samples")
	}
	s, err := surveyDataset(p, func(n int) error { return tick(fmt.Sprintf("Counted %d records", n)) })
	if err != nil {
		return nil, err
	}
	d := &data{features: newFeatures(p.Text, s.columns), vectors: newVectors(), names: s.labels, sum: s.Sum}
	return d, d.read(p, s, func(n int) error { return tick(fmt.Sprintf("Read %d/%d records", n, s.Records)) })
}

// read is the second pass.
func (d *data) read(p *params, s *survey, tick func(int) error) error {
	r, err := openDataset(p.Dataset)
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // it was only read
	chosen := choose(p, s.Records)
	for i := 0; ; i++ {
		cells, err := r.next()
		if err == io.EOF {
			break
		}
		if err == nil && i == s.Records {
			err = errChanged(p.Dataset)
		}
		if err == nil && i%1000 == 0 {
			err = tick(i)
		}
		if err != nil {
			return err
		}
		if chosen != nil && !chosen[i] {
			continue
		}
		if err := d.vectors.full(); err != nil {
			return err
		}
		d.features.raw(r.names, cells, d.vectors)
		d.labels = append(d.labels, s.label[i])
	}
	if err := r.rest(); err != nil {
		return fileError(err, "dataset", p.Dataset)
	}
	if fmt.Sprintf("%016x", r.sum.Sum64()) != s.Sum {
		return errChanged(p.Dataset)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(d.labels)))) < 2 {
		return errOneClass(p, d.names[d.labels[0]])
	}
	return nil
}

func errChanged(path string) error {
	return task.Errorf(task.FailedPrecondition, "dataset %s: changed since the training began", path).
		WithHint("start the training anew: epochs from before and after the change would mix")
}

// choose draws dataset_size of the records; nil: all.
func choose(p *params, records int) []bool {
	if p.Size == nil || *p.Size >= records {
		return nil
	}
	chosen := make([]bool, records)
	for _, i := range random(*p.Seed, streamChoice).Perm(records)[:*p.Size] {
		chosen[i] = true
	}
	return chosen
}

// split draws the parts, of each class its share.
func (d *data) split(seed int64, validate, test float64) {
	rng := random(seed, streamSplit)
	classes := make([][]int32, len(d.names))
	for i, label := range d.labels {
		classes[label] = append(classes[label], int32(i))
	}
	for _, members := range classes {
		rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		t := int(math.Round(test * float64(len(members))))
		v := t + int(math.Round(validate*float64(len(members))))
		d.test = append(d.test, members[:t]...)
		d.validation = append(d.validation, members[t:v]...)
		d.train = append(d.train, members[v:]...)
	}
	for _, part := range [][]int32{d.train, d.validation, d.test} {
		slices.Sort(part)
	}
}

// What makeData makes: columns that tell something and columns that do not; of each class two clouds; some labels are wrong.
const (
	madeColumns = 20
	madeTelling = 10
	madeClasses = 3
	madeClouds  = 2
	madeSpread  = 1.2
	madeWrong   = 0.05
)

// makeData makes n samples of the seed. Each class is two clouds of points: their middles are drawn from a normal distribution of
// deviation 1.2 in the first ten columns x1 to x10, the points around them from one of deviation 1 in all twenty. One label in twenty
// is drawn anew. So a straight border does well, one that bends does better, and nothing comes to 1.
func makeData(seed int64, n int) *data {
	rng := random(seed, streamSamples)
	columns := make([]column, madeColumns)
	for i := range columns {
		columns[i] = column{Name: fmt.Sprintf("x%d", i+1), Numeric: true}
	}
	d := &data{features: newFeatures("", columns), vectors: newVectors(), sum: "made"}
	for c := range madeClasses {
		d.names = append(d.names, string(rune('a'+c)))
	}
	var middles [madeClasses][madeClouds][madeTelling]float64
	for c := range middles {
		for k := range middles[c] {
			for i := range middles[c][k] {
				middles[c][k][i] = madeSpread * rng.NormFloat64()
			}
		}
	}
	point := map[int32]float32{}
	for range n {
		class, cloud := rng.IntN(madeClasses), rng.IntN(madeClouds)
		for i := range madeColumns {
			x := rng.NormFloat64()
			if i < madeTelling {
				x += middles[class][cloud][i]
			}
			point[int32(2*i)] = float32(x)
		}
		if rng.Float64() < madeWrong {
			class = rng.IntN(madeClasses)
		}
		d.vectors.add(point)
		d.labels = append(d.labels, int32(class))
	}
	return d
}
