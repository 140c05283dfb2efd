/* How fast libmodbus reads one meter when it does nothing else: c_reads PORT REGISTERS SECONDS
 *
 * Prints the number of reads and the processor seconds that they took.
 */
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int registers = atoi(argv[2]);
    modbus_t *meter = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    uint16_t words[125];
    long reads = 0;
    if (modbus_connect(meter)) return 1;
    modbus_set_slave(meter, 1);
    double end = now(CLOCK_MONOTONIC) + atof(argv[3]);
    while (now(CLOCK_MONOTONIC) < end) reads += modbus_read_registers(meter, 0, registers, words) == registers;
    printf("%ld %f\n", reads, now(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
