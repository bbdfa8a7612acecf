package training

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph" //nolint:staticcheck // graphs are written so
	"github.com/gomlx/gomlx/pkg/core/tensors"
	mlctx "github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
)

// network is a classifier of dense layers with rectifiers between them: GoMLX's graphs over its backend in pure Go. It is used by
// one goroutine at a time.
type network struct {
	sizes   []int // of the layers: the vector's places, the hidden ones, the classes
	backend backends.Backend
	vars    *mlctx.Context
	learn   *mlctx.Exec
	think   *mlctx.Exec
}

// maxGraphs is how many graphs an Exec keeps: one for each width of a batch.
const maxGraphs = 256

// newNetwork makes a network of given numbers, those of a new one or of a checkpoint.
func newNetwork(sizes []int, rate float64, numbers []tensor) (_ *network, err error) {
	n := &network{sizes: sizes}
	if n.backend, err = simplego.New("ops_sequential"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	n.vars = mlctx.New().Checked(false)
	for _, t := range numbers {
		if err = n.set(t); err != nil {
			return nil, err
		}
	}
	adam := optimizers.Adam().LearningRate(rate).Done()
	n.learn, err = mlctx.NewExec(n.backend, n.vars, func(ctx *mlctx.Context, in []*Node) *Node {
		logits := n.logits(ctx, in[0], in[1])
		each := losses.SparseCategoricalCrossEntropyLogits([]*Node{InsertAxes(in[2], -1)}, []*Node{logits})
		adam.UpdateGraph(ctx, logits.Graph(), Div(ReduceAllSum(Mul(each, in[3])), ReduceAllSum(in[3])))
		return logits
	})
	if err == nil {
		n.think, err = mlctx.NewExec(n.backend, n.vars, func(ctx *mlctx.Context, in []*Node) *Node {
			return n.logits(ctx, in[0], in[1])
		})
	}
	if err != nil {
		return nil, err
	}
	n.learn.SetMaxCache(maxGraphs)
	n.think.SetMaxCache(maxGraphs)
	return n, nil
}

// layer is the scope of a layer's variables.
func layer(i int) string { return fmt.Sprintf("layer_%d", i) }

// logits is the network itself. Of the first layer's weights it takes only the rows of those places that the batch has: the
// product is the same as with all of them, since what the matrix leaves out is zero.
func (n *network) logits(ctx *mlctx.Context, matrix, places *Node) *Node {
	g := matrix.Graph()
	value := func(i int, name string) *Node {
		return ctx.GetVariableByScopeAndName("/"+layer(i), name).ValueGraph(g)
	}
	x := Dot(matrix, Gather(value(0, "weights"), InsertAxes(places, -1)))
	for i := 0; ; i++ {
		x = Add(x, InsertAxes(value(i, "biases"), 0))
		if i == len(n.sizes)-2 {
			return x
		}
		x = Dot(Max(x, ScalarZero(g, dtypes.Float32)), value(i+1, "weights"))
	}
}

// freshNumbers draws the weights of a new network, by Glorot's rule; inputs is how many places of a vector are taken at once. Where
// there is no hidden layer, all begin at zero.
func freshNumbers(sizes []int, inputs int, seed int64) []tensor {
	rng := random(seed, streamWeights)
	var all []tensor
	for i := range len(sizes) - 1 {
		in, out := sizes[i], sizes[i+1]
		t := tensor{name: "/" + layer(i) + "/weights", shape: []int{in, out}, floats: make([]float32, in*out)}
		if i == 0 {
			in = inputs
		}
		limit := math.Sqrt(6 / float64(in+out))
		if len(sizes) == 2 {
			limit = 0
		}
		for j := range t.floats {
			t.floats[j] = float32(limit * (2*rng.Float64() - 1))
		}
		all = append(all, t, tensor{name: "/" + layer(i) + "/biases", shape: []int{out}, floats: make([]float32, out)})
	}
	return all
}

// set makes a variable. Those of the layers are learnt, others are the optimizer's.
func (n *network) set(t tensor) error {
	cut := strings.LastIndexByte(t.name, '/')
	if cut <= 0 && t.name == "" {
		return errors.New("a tensor without a name")
	}
	scope, name := t.name[:max(cut, 0)], t.name[cut+1:]
	if scope == "" {
		scope = "/"
	}
	var value *tensors.Tensor
	if t.ints != nil {
		value = tensors.FromFlatDataAndDimensions(t.ints, t.shape...)
	} else {
		value = tensors.FromFlatDataAndDimensions(t.floats, t.shape...)
	}
	n.vars.InAbsPath(scope).Checked(false).VariableWithValue(name, value).SetTrainable(strings.HasPrefix(t.name, "/layer_"))
	return nil
}

// numbers returns all that the network is, with the optimizer's state, by name: a network that was read back has them in another
// order.
func (n *network) numbers() ([]tensor, error) {
	var all []tensor
	for v := range n.vars.IterVariables() {
		value, err := v.Value()
		if err != nil {
			return nil, err
		}
		t := tensor{name: v.ScopeAndName(), shape: v.Shape().Dimensions}
		switch v.DType() {
		case dtypes.Float32:
			t.floats, err = tensors.CopyFlatData[float32](value)
		case dtypes.Int64:
			t.ints, err = tensors.CopyFlatData[int64](value)
		default:
			err = fmt.Errorf("variable %s of type %s", t.name, v.DType())
		}
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b tensor) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// step learns from a batch and returns what the network thought of it before: classes for each record.
func (n *network) step(b *batch) ([]float32, error) {
	return run(n.learn, tensors.FromFlatDataAndDimensions(b.matrix, b.size, b.width), tensors.FromFlatDataAndDimensions(b.places, b.width),
		tensors.FromFlatDataAndDimensions(b.labels, b.size), tensors.FromFlatDataAndDimensions(b.weights, b.size))
}

// judge returns what the network thinks of a batch.
func (n *network) judge(b *batch) ([]float32, error) {
	return run(n.think, tensors.FromFlatDataAndDimensions(b.matrix, b.size, b.width), tensors.FromFlatDataAndDimensions(b.places, b.width))
}

func run(e *mlctx.Exec, in ...any) ([]float32, error) {
	out, err := e.Exec(in...)
	if err != nil {
		return nil, err
	}
	logits, err := tensors.CopyFlatData[float32](out[0])
	for _, t := range out {
		err = errors.Join(err, t.FinalizeAll())
	}
	for _, t := range in {
		err = errors.Join(err, t.(*tensors.Tensor).FinalizeAll())
	}
	return logits, err
}

// close gives back what the backend holds.
func (n *network) close() {
	for _, e := range []*mlctx.Exec{n.learn, n.think} {
		if e != nil {
			e.Finalize()
		}
	}
	if n.vars != nil {
		n.vars.Finalize()
	}
	n.backend.Finalize()
}
