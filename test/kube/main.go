// Command kube reads objects of Kubernetes from stdin, strictly, as the types of its API have them, and says what does not fit: fields that
// there are not, names that lead nowhere.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// found are the objects by kind.
type found struct {
	deployments map[string]*apps.Deployment
	claims      map[string]*core.PersistentVolumeClaim
	services    []*core.Service
	budgets     []*policy.PodDisruptionBudget
	scalers     []*autoscaling.HorizontalPodAutoscaler
	wrong       int
}

func (f *found) say(format string, args ...any) {
	f.wrong++
	fmt.Printf(format+"\n", args...)
}

func main() {
	f := &found{deployments: map[string]*apps.Deployment{}, claims: map[string]*core.PersistentVolumeClaim{}}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	n := 0
	for {
		text, err := docs.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.say("%v", err)
			break
		}
		f.read(text)
		n++
	}
	if n == 0 {
		f.say("there is nothing to read")
	}
	for _, d := range f.deployments {
		f.deployment(d)
	}
	f.others()
	if f.wrong > 0 {
		os.Exit(1)
	}
	fmt.Printf("%d objects fit\n", n)
}

func (f *found) read(text []byte) {
	var m meta.TypeMeta
	if err := yaml.Unmarshal(text, &m); err != nil {
		f.say("%v", err)
		return
	}
	strict := func(into any) bool {
		err := yaml.UnmarshalStrict(text, into)
		if err != nil {
			f.say("%s: %v", m.Kind, err)
		}
		return err == nil
	}
	switch m.APIVersion + " " + m.Kind {
	case "apps/v1 Deployment":
		if d := new(apps.Deployment); strict(d) {
			f.deployments[d.Name] = d
		}
	case "v1 PersistentVolumeClaim":
		if c := new(core.PersistentVolumeClaim); strict(c) {
			f.claims[c.Name] = c
		}
	case "v1 Service":
		if s := new(core.Service); strict(s) {
			f.services = append(f.services, s)
		}
	case "policy/v1 PodDisruptionBudget":
		if b := new(policy.PodDisruptionBudget); strict(b) {
			f.budgets = append(f.budgets, b)
		}
	case "autoscaling/v2 HorizontalPodAutoscaler":
		if h := new(autoscaling.HorizontalPodAutoscaler); strict(h) {
			f.scalers = append(f.scalers, h)
		}
	default:
		f.say("there is no %s in %s", m.Kind, m.APIVersion)
	}
}

func (f *found) deployment(d *apps.Deployment) {
	pod := &d.Spec.Template
	if !selects(d.Spec.Selector, pod.Labels) {
		f.say("the deployment %s does not select its pods", d.Name)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
		if c := v.PersistentVolumeClaim; c != nil && f.claims[c.ClaimName] == nil {
			f.say("there is no claim %s", c.ClaimName)
		}
	}
	for _, t := range pod.Spec.TopologySpreadConstraints {
		if !selects(t.LabelSelector, pod.Labels) {
			f.say("pods are not spread: %v", t)
		}
	}
	for _, c := range append(append([]core.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				f.say("%s mounts %s, which there is not", c.Name, m.Name)
			}
		}
		for what, p := range map[string]*core.Probe{"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe} {
			if p != nil && (p.HTTPGet == nil || !has(c.Ports, p.HTTPGet.Port)) {
				f.say("the %s probe of %s asks nobody", what, c.Name)
			}
		}
		for name, limit := range c.Resources.Limits {
			if request, ok := c.Resources.Requests[name]; ok && request.Cmp(limit) > 0 {
				f.say("%s asks for more %s than it may have", c.Name, name)
			}
		}
	}
}

func (f *found) others() {
	pods := func(what string, selector *meta.LabelSelector) *apps.Deployment {
		for _, d := range f.deployments {
			if selects(selector, d.Spec.Template.Labels) {
				return d
			}
		}
		f.say("the %s selects nothing", what)
		return nil
	}
	for _, s := range f.services {
		if d := pods("service "+s.Name, &meta.LabelSelector{MatchLabels: s.Spec.Selector}); d != nil {
			for _, p := range s.Spec.Ports {
				if !has(d.Spec.Template.Spec.Containers[0].Ports, p.TargetPort) {
					f.say("the service %s leads to the port %s, which there is not", s.Name, p.TargetPort.String())
				}
			}
		}
	}
	for _, b := range f.budgets {
		if d := pods("budget "+b.Name, b.Spec.Selector); d != nil && b.Spec.MinAvailable != nil && b.Spec.MinAvailable.IntValue() >= int(*d.Spec.Replicas) {
			f.say("the budget %s lets no pod go", b.Name)
		}
	}
	for _, h := range f.scalers {
		to := h.Spec.ScaleTargetRef
		if to.APIVersion != "apps/v1" || to.Kind != "Deployment" || f.deployments[to.Name] == nil {
			f.say("the scaler %s scales nothing", h.Name)
			continue
		}
		for _, m := range h.Spec.Metrics {
			if m.Resource == nil {
				continue
			}
			for _, c := range f.deployments[to.Name].Spec.Template.Spec.Containers {
				if _, ok := c.Resources.Requests[m.Resource.Name]; !ok {
					f.say("the scaler %s looks at the %s of %s, which asks for none", h.Name, m.Resource.Name, c.Name)
				}
			}
		}
	}
}

func selects(s *meta.LabelSelector, of map[string]string) bool {
	selector, err := meta.LabelSelectorAsSelector(s)
	return err == nil && !selector.Empty() && selector.Matches(labels.Set(of))
}

func has(ports []core.ContainerPort, port intstr.IntOrString) bool {
	for _, p := range ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return true
		}
	}
	return false
}
