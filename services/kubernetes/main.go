// One program that is etcd and every part of Kubernetes, chosen by its first argument or by the name it is
// called by. One link instead of six, and every version stands in go.mod.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	cri "k8s.io/cri-client/pkg"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	commands := map[string]func() *cobra.Command{
		"kube-apiserver":          apiserver.NewAPIServerCommand,
		"kube-controller-manager": controllers.NewControllerManagerCommand,
		"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kube-proxy":              proxy.NewProxyCommand,
		"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		"kubectl":                 kubectl.NewDefaultKubectlCommand,
	}
	name := filepath.Base(os.Args[0])
	if commands[name] == nil && name != "etcd" && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	switch {
	case name == "etcd":
		etcdmain.Main(os.Args)
	case name == "remove-pods" && len(os.Args) == 2:
		if err := removePods(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case commands[name] != nil:
		os.Exit(cli.Run(commands[name]()))
	default:
		fmt.Fprintln(os.Stderr, "usage: kube etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kube-proxy|kubelet|kubectl ARGUMENTS")
		fmt.Fprintln(os.Stderr, "       kube remove-pods CRI-SOCKET")
		os.Exit(2)
	}
}

// removePods stops and removes every pod of a container runtime, so that its network plugins clean up after
// themselves: nothing is left in iptables or among the network namespaces.
func removePods(socket string) error {
	runtime, err := cri.NewRemoteRuntimeService(socket, 20*time.Second, nil, nil)
	if err != nil {
		return err
	}
	ctx := context.Background()
	pods, err := runtime.ListPodSandbox(ctx, nil)
	if err != nil {
		return err
	}
	containers, err := runtime.ListContainers(ctx, nil)
	if err != nil {
		return err
	}
	for _, container := range containers {
		if err := runtime.StopContainer(ctx, container.Id, 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	for _, pod := range pods {
		if err := runtime.StopPodSandbox(ctx, pod.Id); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if err := runtime.RemovePodSandbox(ctx, pod.Id); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return nil
}
