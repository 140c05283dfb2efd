/* Simulated meters that cost next to nothing: Modbus TCP on many ports of 127.0.0.1, one thread, epoll.
 *
 *     meters FIRST_PORT COUNT STATISTICS_FILE
 *
 * Every port is one meter with 40 registers from address 0, for functions 3 and 4: twenty 32-bit floats in the
 * order of meter_40.toml, the high word first. They change every second and agree with one another: the phases
 * sum to the total, the energy is the integral of the power. STATISTICS_FILE is shared memory: for each meter the
 * requests answered, as unsigned 64-bit numbers in the machine's order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VALUES = 20, REGISTERS = 2 * VALUES, REQUEST = 12, HEADER = 9 };
static const double POWER_FACTOR = 0.95, MEAN_POWER_W = 30000.0, MEAN_VOLTAGE_V = 230.0;

struct meter {
    long second;
    double power_w, energy_wh;
    uint8_t bytes[2 * REGISTERS];
};

struct client { /* or a listening socket, where `listens` */
    int fd, listens, meter, filled;
    uint8_t buffer[1024];
};

/* A number from -1 to 1 that looks random and is the same for the same second and meter. */
static double flicker(uint64_t second, uint64_t meter, uint64_t what) {
    uint64_t x = second * 0x9E3779B97F4A7C15u + meter * 0xBF58476D1CE4E5B9u + what * 0x94D049BB133111EBu;
    x ^= x >> 31;
    x *= 0xD6E8FEB86659FD93u;
    x ^= x >> 32;
    return (double)(x >> 11) / (double)(1ull << 52) - 1.0;
}

static void put(uint8_t *bytes, int value, double number) {
    float single = (float)number;
    uint32_t bits;
    memcpy(&bits, &single, 4);
    bits = htonl(bits);
    memcpy(bytes + 4 * value, &bits, 4);
}

static void turn_to(struct meter *meter, int number, long second) {
    if (second == meter->second) return;
    if (meter->second) meter->energy_wh += meter->power_w * (double)(second - meter->second) / 3600.0;
    meter->second = second;
    double power = MEAN_POWER_W * (1.0 + 0.02 * flicker(second, number, 0));
    double reactive = power * tan(acos(POWER_FACTOR)), volts = 0.0, amperes = 0.0;
    uint8_t *bytes = meter->bytes;
    meter->power_w = power;
    for (int phase = 0; phase < 3; phase++) {
        double voltage = MEAN_VOLTAGE_V + 0.8 * flicker(second, 0, 1 + phase);
        double current = power / 3.0 / POWER_FACTOR / voltage;
        put(bytes, 1 + phase, power / 3.0);
        put(bytes, 8 + phase, voltage);
        put(bytes, 11 + phase, current);
        put(bytes, 14 + phase, reactive / 3.0);
        volts += voltage;
        amperes += current;
    }
    put(bytes, 0, power);
    put(bytes, 4, reactive);
    put(bytes, 5, power / POWER_FACTOR);
    put(bytes, 6, POWER_FACTOR);
    put(bytes, 7, 50.0 + 0.02 * flicker(second, 0, 9));
    put(bytes, 17, volts / 3.0);
    put(bytes, 18, amperes);
    put(bytes, 19, meter->energy_wh);
}

/* Answer one request of twelve bytes into `reply`; give the reply's length. */
static int answer(struct meter *meter, int number, const uint8_t *request, uint8_t *reply) {
    int function = request[7], address = request[8] << 8 | request[9], count = request[10] << 8 | request[11];
    memcpy(reply, request, 8);
    if ((function != 3 && function != 4) || count < 1 || address + count > REGISTERS) {
        reply[4] = 0, reply[5] = 3, reply[7] |= 0x80;
        reply[8] = function == 3 || function == 4 ? 2 : 1;
        return HEADER;
    }
    turn_to(meter, number, (long)time(NULL));
    reply[4] = 0, reply[5] = (uint8_t)(3 + 2 * count), reply[8] = (uint8_t)(2 * count);
    memcpy(reply + HEADER, meter->bytes + 2 * address, 2 * count);
    return HEADER + 2 * count;
}

static int serve(struct client *client, struct meter *meters, volatile uint64_t *answered) {
    ssize_t got = read(client->fd, client->buffer + client->filled, sizeof client->buffer - client->filled);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    client->filled += (int)got;
    int done = 0;
    for (; client->filled - done >= REQUEST; done += REQUEST) {
        uint8_t reply[HEADER + 2 * REGISTERS];
        int length = answer(meters + client->meter, client->meter, client->buffer + done, reply);
        if (write(client->fd, reply, length) != length) return 0;
        answered[client->meter]++;
    }
    client->filled -= done;
    memmove(client->buffer, client->buffer + done, client->filled);
    return 1;
}

static void watch(int epoll, int fd, int listens, int meter) {
    struct client *client = calloc(1, sizeof *client);
    client->fd = fd, client->listens = listens, client->meter = meter;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (void *)&address, sizeof address) || listen(fd, 128)) {
        perror("meters: cannot listen");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: meters FIRST_PORT COUNT STATISTICS_FILE\n");
        return 2;
    }
    int first = atoi(argv[1]), count = atoi(argv[2]), epoll = epoll_create1(0);
    int statistics = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (statistics < 0 || ftruncate(statistics, count * 8)) {
        perror(argv[3]);
        return 1;
    }
    volatile uint64_t *answered = mmap(NULL, count * 8, PROT_READ | PROT_WRITE, MAP_SHARED, statistics, 0);
    struct meter *meters = calloc(count, sizeof *meters);
    signal(SIGPIPE, SIG_IGN);
    for (int number = 0; number < count; number++) {
        meters[number].energy_wh = 100000.0 + 1000.0 * number;
        watch(epoll, listen_on(first + number), 1, number);
    }
    for (;;) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (client->listens) {
                int fd = accept4(client->fd, NULL, NULL, SOCK_NONBLOCK), one = 1;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                watch(epoll, fd, 0, client->meter);
            } else if (!serve(client, meters, answered)) {
                close(client->fd);
                free(client);
            }
        }
    }
}
