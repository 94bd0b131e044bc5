// A client of the secret store: makes a secret, reads it, watches it, rotates it, and reads what it became. Who it is stands in its
// certificate; nothing else identifies it.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "example.com/strongroom/gen/strongroom/secrets/v1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func setting(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set", name)
	}
	return value
}

func random(bytes int) string {
	buffer := make([]byte, bytes)
	_, _ = rand.Read(buffer)
	return hex.EncodeToString(buffer)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func connect() *grpc.ClientConn {
	certificate := must(tls.LoadX509KeyPair(setting("STRONGROOM_CERT"), setting("STRONGROOM_KEY")))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(must(os.ReadFile(setting("STRONGROOM_CA"))))
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots, MinVersion: tls.VersionTLS13}
	// Deadlines and retries of every method, as the server's authors publish them.
	serviceConfig := string(must(os.ReadFile(setting("STRONGROOM_SERVICE_CONFIG"))))
	return must(grpc.NewClient(setting("STRONGROOM_ADDRESS"),
		grpc.WithTransportCredentials(credentials.NewTLS(config)), grpc.WithDefaultServiceConfig(serviceConfig)))
}

func payloadOf(text string) *pb.SecretPayload {
	sum := int64(crc32.Checksum([]byte(text), castagnoli))
	return &pb.SecretPayload{Value: &pb.SecretPayload_Text{Text: text}, Crc32C: &sum}
}

func read(ctx context.Context, access pb.SecretAccessServiceClient, name string) string {
	payload := must(access.AccessSecretVersion(ctx, &pb.AccessSecretVersionRequest{Name: name})).Payload
	if payload.GetCrc32C() != int64(crc32.Checksum([]byte(payload.GetText()), castagnoli)) {
		log.Fatalf("%s was damaged on its way", name)
	}
	return payload.GetText()
}

type messages = grpc.ServerStreamingClient[pb.WatchSecretsResponse]

// A stream of what becomes of a secret. The first message comes at once: from then on nothing is missed.
func watch(ctx context.Context, watching pb.SecretWatchServiceClient, group string, id string) messages {
	stream := must(watching.WatchSecrets(ctx, &pb.WatchSecretsRequest{Parent: group, SecretIds: []string{id}}))
	must(stream.Recv())
	return stream
}

// The number of the version that it was rotated to. Who goes on watching opens the stream again, with ResumeToken, when it ends.
func rotatedTo(stream messages) int32 {
	for {
		for _, event := range must(stream.Recv()).Events {
			if event.Type == pb.SecretEvent_ROTATED {
				return event.Version
			}
		}
	}
}

func verdict(asWritten bool) string {
	if asWritten {
		return "as written"
	}
	return "something else"
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	connection := connect()
	defer connection.Close()
	secrets, access := pb.NewSecretServiceClient(connection), pb.NewSecretAccessServiceClient(connection)

	// A value must come from somewhere that is not a command line: others see that.
	first, second := random(18), random(18)
	group, id := setting("STRONGROOM_GROUP"), "example-"+random(4)
	// The request id makes a retry safe: the same one again answers as before, and changes nothing.
	secret := must(secrets.CreateSecret(ctx, &pb.CreateSecretRequest{
		Parent: group, SecretId: id, Payload: payloadOf(first), RequestId: uuid.NewString(),
	}))
	fmt.Println("created", secret.Name)
	fmt.Println("read version 1:", verdict(read(ctx, access, secret.Name+"/versions/latest") == first))

	stream := watch(ctx, pb.NewSecretWatchServiceClient(connection), group, id)
	made := must(secrets.AddSecretVersion(ctx, &pb.AddSecretVersionRequest{
		Parent: secret.Name, Payload: payloadOf(second), Etag: secret.Etag, RequestId: uuid.NewString(),
	}))
	fmt.Println("added", made.Name)
	fmt.Println("watched: version", rotatedTo(stream))
	fmt.Println("read version 2:", verdict(read(ctx, access, secret.Name+"/versions/latest") == second))
}
