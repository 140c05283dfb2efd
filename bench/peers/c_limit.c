/* What C needs for it: libmodbus reads every meter once a second, libmosquitto publishes each answer.
 *
 *     c_limit FIRST_PORT COUNT REGISTERS BROKER_PORT
 */
#include <modbus/modbus.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int first = atoi(argv[1]), count = atoi(argv[2]), registers = atoi(argv[3]);
    modbus_t **meters = calloc(count, sizeof *meters);
    mosquitto_lib_init();
    struct mosquitto *broker = mosquitto_new(NULL, 1, NULL);
    mosquitto_connect(broker, "127.0.0.1", atoi(argv[4]), 60);
    mosquitto_loop_start(broker);
    for (int i = 0; i < count; i++) {
        meters[i] = modbus_new_tcp("127.0.0.1", first + i);
        modbus_connect(meters[i]);
        modbus_set_slave(meters[i], 1);
    }
    struct timespec tick;
    clock_gettime(CLOCK_MONOTONIC, &tick);
    for (;;) {
        for (int i = 0; i < count; i++) {
            uint16_t words[125];
            char topic[32], text[1024];
            if (modbus_read_registers(meters[i], 0, registers, words) != registers) continue;
            int length = sprintf(text, "{\"v\":[%u", words[0]);
            for (int j = 1; j < registers; j++) length += sprintf(text + length, ",%u", words[j]);
            length += sprintf(text + length, "]}");
            sprintf(topic, "bench/meter-%03d", i);
            mosquitto_publish(broker, NULL, topic, length, text, 1, 0);
        }
        tick.tv_sec++;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &tick, NULL);
    }
}
