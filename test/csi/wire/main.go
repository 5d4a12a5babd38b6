// Writes what the official Go packages of CSI and of the kubelet say: every name and number, and encoded
// messages. The tests hold proto/ and both codecs of the package against it. Run by `npm run golden`, which
// gives it the descriptors of proto/ on standard input.
package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

var official = []protoreflect.FileDescriptor{
	csi.File_csi_proto,
	registration.File_staging_src_k8s_io_kubelet_pkg_apis_pluginregistration_v1_api_proto,
}

func main() {
	ours, err := descriptorsOf(os.Stdin)
	if err != nil {
		fail(err)
	}
	var names []string
	for _, file := range official {
		names = append(names, namesOf(file)...)
	}
	sort.Strings(names)
	write("names.txt", []byte(strings.Join(names, "\n")+"\n"))

	messages, err := messagesOf(ours)
	if err != nil {
		fail(err)
	}
	text, err := json.MarshalIndent(append(samples(), messages...), "", "  ")
	if err != nil {
		fail(err)
	}
	write("messages.json", append(text, '\n'))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func write(name string, content []byte) {
	if err := os.WriteFile("recorded/"+name, content, 0o644); err != nil {
		fail(err)
	}
}

// The descriptors of proto/.
func descriptorsOf(input io.Reader) (*protoregistry.Files, error) {
	content, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(content, set); err != nil {
		return nil, err
	}
	if len(set.File) == 0 {
		return nil, fmt.Errorf("expected descriptors on standard input: run npm run golden")
	}
	return protodesc.NewFiles(set)
}

// One line for each field, value and RPC.
func namesOf(file protoreflect.FileDescriptor) []string {
	names := append(namesOfMessages(file.Messages()), namesOfEnums(file.Enums())...)
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		for j := range service.Methods().Len() {
			method := service.Methods().Get(j)
			names = append(names, fmt.Sprintf("rpc %s %s %s", method.FullName(), method.Input().FullName(), method.Output().FullName()))
		}
	}
	return names
}

func namesOfMessages(messages protoreflect.MessageDescriptors) []string {
	var names []string
	for i := range messages.Len() {
		message := messages.Get(i)
		if message.IsMapEntry() {
			continue
		}
		names = append(names, fmt.Sprintf("message %s", message.FullName()))
		for j := range message.Fields().Len() {
			names = append(names, fmt.Sprintf("field %s", nameOfField(message.Fields().Get(j))))
		}
		for j := range message.ReservedRanges().Len() {
			reserved := message.ReservedRanges().Get(j)
			for number := reserved[0]; number < reserved[1]; number++ {
				names = append(names, fmt.Sprintf("reserved %s = %d", message.FullName(), number))
			}
		}
		names = append(names, namesOfMessages(message.Messages())...)
		names = append(names, namesOfEnums(message.Enums())...)
	}
	return names
}

// Its name, number and type, and the oneof that it is in.
func nameOfField(field protoreflect.FieldDescriptor) string {
	kind := typeOf(field)
	if field.IsMap() {
		kind = fmt.Sprintf("map<%s, %s>", typeOf(field.MapKey()), typeOf(field.MapValue()))
	} else if field.IsList() {
		kind = "repeated " + kind
	}
	name := fmt.Sprintf("%s = %d %s", field.FullName(), field.Number(), kind)
	if oneof := field.ContainingOneof(); oneof != nil {
		name += fmt.Sprintf(" in %s", oneof.Name())
	}
	return name
}

func typeOf(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return string(field.Message().FullName())
	case protoreflect.EnumKind:
		return string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}

func namesOfEnums(enums protoreflect.EnumDescriptors) []string {
	var names []string
	for i := range enums.Len() {
		enum := enums.Get(i)
		for j := range enum.Values().Len() {
			value := enum.Values().Get(j)
			names = append(names, fmt.Sprintf("value %s %s = %d", enum.FullName(), value.Name(), value.Number()))
		}
		for j := range enum.ReservedRanges().Len() {
			reserved := enum.ReservedRanges().Get(j)
			for number := reserved[0]; number <= reserved[1]; number++ {
				names = append(names, fmt.Sprintf("reserved %s = %d", enum.FullName(), number))
			}
		}
	}
	return names
}

// A message as the official package encodes it.
type encoded struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Only with the fields that proto/ has.
	Hex string `json:"hex"`
	// The same with the fields in the order of their numbers: Go writes those of a oneof last. Absent if that is
	// no other order.
	OrderedHex string `json:"orderedHex,omitempty"`
	// With all fields. Absent if there are no others.
	FullHex string `json:"fullHex,omitempty"`
	// What Hex says, in protobuf's JSON with enums as numbers.
	JSON json.RawMessage `json:"json"`
}

// The messages of every RPC in proto/, with all of their fields, and in as many variants as a oneof has.
func messagesOf(ours *protoregistry.Files) ([]encoded, error) {
	var all []encoded
	var failure error
	done := map[protoreflect.FullName]bool{}
	ours.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				for _, message := range []protoreflect.MessageDescriptor{methods.Get(j).Input(), methods.Get(j).Output()} {
					name := message.FullName()
					if done[name] {
						continue
					}
					done[name] = true
					known, err := protoregistry.GlobalTypes.FindMessageByName(name)
					if err != nil {
						failure = fmt.Errorf("%s is not in the official packages: %w", name, err)
						return false
					}
					for variant := range 2 {
						all = append(all, variantOf(known, message, variant))
					}
				}
			}
		}
		return true
	})
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all, failure
}

func variantOf(known protoreflect.MessageType, ours protoreflect.MessageDescriptor, variant int) encoded {
	part, full := known.New(), known.New()
	fill(part, ours, variant)
	fill(full, known.Descriptor(), variant)
	one := encode(fmt.Sprintf("%s %d", known.Descriptor().FullName(), variant), part.Interface())
	if fullHex := hexOf(full.Interface()); fullHex != one.Hex {
		one.FullHex = fullHex
	}
	return one
}

func encode(name string, message proto.Message) encoded {
	text, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(message)
	if err != nil {
		fail(err)
	}
	// Its white space differs from run to run.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		fail(err)
	}
	one := encoded{Name: name, Type: string(message.ProtoReflect().Descriptor().FullName()), Hex: hexOf(message), JSON: compact.Bytes()}
	if ordered := hex.EncodeToString(inOrder(message.ProtoReflect())); ordered != one.Hex {
		one.OrderedHex = ordered
	}
	return one
}

// A message with the fields in the order of their numbers, at every depth.
func inOrder(message protoreflect.Message) []byte {
	fields := message.Descriptor().Fields()
	numbers := make([]protoreflect.FieldNumber, 0, fields.Len())
	for i := range fields.Len() {
		numbers = append(numbers, fields.Get(i).Number())
	}
	slices.Sort(numbers)
	var content []byte
	for _, number := range numbers {
		field := fields.ByNumber(number)
		if !message.Has(field) {
			continue
		}
		switch {
		case field.Message() == nil || field.IsMap():
			alone := message.New()
			alone.Set(field, message.Get(field))
			content = append(content, marshal(alone.Interface())...)
		case field.IsList():
			for i := range message.Get(field).List().Len() {
				content = protowire.AppendTag(content, number, protowire.BytesType)
				content = protowire.AppendBytes(content, inOrder(message.Get(field).List().Get(i).Message()))
			}
		default:
			content = protowire.AppendTag(content, number, protowire.BytesType)
			content = protowire.AppendBytes(content, inOrder(message.Get(field).Message()))
		}
	}
	return content
}

func hexOf(message proto.Message) string {
	return hex.EncodeToString(marshal(message))
}

func marshal(message proto.Message) []byte {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		fail(err)
	}
	return content
}

// Sets the fields that the descriptor has to values that tell them apart.
func fill(message protoreflect.Message, descriptor protoreflect.MessageDescriptor, variant int) {
	fields := descriptor.Fields()
	for i := range fields.Len() {
		named := fields.Get(i)
		field := message.Descriptor().Fields().ByName(named.Name())
		if field == nil {
			continue
		}
		if oneof := named.ContainingOneof(); oneof != nil && oneof.Fields().Get(variant%oneof.Fields().Len()) != named {
			continue
		}
		switch {
		case field.IsMap():
			values := message.Mutable(field).Map()
			for _, key := range []string{"a", "b"} {
				values.Set(protoreflect.ValueOfString(key).MapKey(), protoreflect.ValueOfString(string(field.Name())+" "+key))
			}
		case field.IsList():
			values := message.Mutable(field).List()
			for entry := range 2 {
				if field.Message() == nil {
					values.Append(scalar(field, variant+entry))
					continue
				}
				value := values.NewElement()
				fill(value.Message(), named.Message(), variant+entry)
				values.Append(value)
			}
		case field.Message() != nil:
			fill(message.Mutable(field).Message(), named.Message(), variant)
		default:
			message.Set(field, scalar(field, variant))
		}
	}
}

func scalar(field protoreflect.FieldDescriptor, variant int) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("%s %d é", field.Name(), variant))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(variant%2 == 0)
	case protoreflect.EnumKind:
		values := field.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(1 + (int(field.Number())+variant)%(values.Len()-1)).Number())
	case protoreflect.Int64Kind:
		// Beyond what a double can hold.
		return protoreflect.ValueOfInt64(1<<62 + int64(field.Number())*10 + int64(variant))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(field.Number())*10 + int32(variant))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(field.Name()))
	default:
		fail(fmt.Errorf("no value for %s", field.FullName()))
		panic("unreachable")
	}
}

// What the handlers of the package are expected to answer.
func samples() []encoded {
	block := &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_WRITER},
	}
	mount := &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{FsType: "ext4", MountFlags: []string{"noatime", "ro"}}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
	}
	return []encoded{
		encode("a healthy volume", &csi.NodeGetVolumeHealthResponse{VolumeHealth: &csi.VolumeHealth{VolumeId: "v"}}),
		encode("a sick volume", &csi.NodeGetVolumeHealthResponse{VolumeHealth: &csi.VolumeHealth{
			VolumeId: "v",
			HealthStatuses: []*csi.VolumeHealth_VolumeHealthEntry{
				{Status: csi.VolumeHealthErrorType_DATA_LOSS, Reason: "BadBlocks", Message: "3 blocks are lost"},
				{Status: csi.VolumeHealthErrorType_INACCESSIBLE, Reason: "Gone"},
				{Status: csi.VolumeHealthErrorType_DEGRADED, Reason: "SlowDisk", Message: "reads take longer than a second"},
			},
		}}),
		encode("healthy storage", &csi.NodeGetStorageHealthResponse{}),
		encode("sick storage", &csi.NodeGetStorageHealthResponse{BackendHealth: []*csi.NodeGetStorageHealthResponse_StorageBackendHealth{
			{Status: csi.StorageHealthErrorType_STORAGE_UNREACHABLE, Reason: "Offline", Message: "no answer", VolumeCapability: block},
			{Status: csi.StorageHealthErrorType_STORAGE_DEGRADED, Reason: "PathLost", Message: "one of two paths is gone"},
			{Status: csi.StorageHealthErrorType_STORAGE_DEGRADED, Reason: "PathLost", VolumeCapability: mount},
		}}),
	}
}
