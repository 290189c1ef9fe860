/* A client as on a microcontroller: BearSSL, a trust anchor of name and key, and a small receive buffer.
 *
 *   client PORT ANCHOR SIZE
 *
 * ANCHOR: the CA's name (DER) and its P-256 point, each behind its length in 2 bytes. SIZE: bytes of plaintext in
 * the largest record that fits. Copies standard input to the server and what comes back to standard output, byte
 * for byte as many. Exit status: BearSSL's error.
 */
#include <arpa/inet.h>
#include <bearssl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned char anchor[4096], input[65536], output[65536];
static unsigned char receive_buffer[16384 + 325], send_buffer[512 + 85];

static int read_some(void *context, unsigned char *data, size_t length)
{
    ssize_t count;
    do
        count = read(*(int *)context, data, length);
    while (count < 0 && errno == EINTR);
    return count > 0 ? (int)count : -1;
}

static int write_some(void *context, const unsigned char *data, size_t length)
{
    ssize_t count;
    do
        count = write(*(int *)context, data, length);
    while (count < 0 && errno == EINTR);
    return count > 0 ? (int)count : -1;
}

static size_t read_all(FILE *file, unsigned char *data, size_t size)
{
    size_t length = fread(data, 1, size, file);
    return feof(file) || length == size ? length : 0;
}

static int connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("connect");
        exit(255);
    }
    return fd;
}

int main(int argc, char **argv)
{
    br_ssl_client_context client;
    br_x509_minimal_context verifier;
    br_sslio_context stream;
    br_x509_trust_anchor trusted = {0};
    size_t length, name, received = 0;
    int fd, size, error;
    FILE *file;

    if (argc != 4 || (file = fopen(argv[2], "rb")) == NULL) {
        fprintf(stderr, "usage: client PORT ANCHOR SIZE\n");
        return 255;
    }
    read_all(file, anchor, sizeof anchor);
    fclose(file);
    name = (size_t)anchor[0] << 8 | anchor[1];
    trusted.dn.data = anchor + 2;
    trusted.dn.len = name;
    trusted.flags = BR_X509_TA_CA;
    trusted.pkey.key_type = BR_KEYTYPE_EC;
    trusted.pkey.key.ec.curve = BR_EC_secp256r1;
    trusted.pkey.key.ec.q = anchor + 4 + name;
    trusted.pkey.key.ec.qlen = (size_t)anchor[2 + name] << 8 | anchor[3 + name];
    size = atoi(argv[3]);

    br_ssl_client_init_full(&client, &verifier, &trusted, 1);
    /* BearSSL asks the server for the largest fragment that its buffer takes (RFC 6066 section 4). */
    br_ssl_engine_set_buffers_bidi(&client.eng, receive_buffer, (size_t)size + 325, send_buffer, sizeof send_buffer);
    br_ssl_client_reset(&client, "localhost", 0);
    fd = connect_to(atoi(argv[1]));
    br_sslio_init(&stream, &client.eng, read_some, &fd, write_some, &fd);

    length = read_all(stdin, input, sizeof input);
    if (br_sslio_write_all(&stream, input, length) == 0 && br_sslio_flush(&stream) == 0)
        while (received < length) {
            int count = br_sslio_read(&stream, output, sizeof output);
            if (count < 0)
                break;
            fwrite(output, 1, (size_t)count, stdout);
            received += (size_t)count;
        }
    error = br_ssl_engine_last_error(&client.eng);
    if (error != 0)
        fprintf(stderr, "BearSSL error %d after %zu bytes\n", error, received);
    close(fd);
    return error;
}
