/* Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project. */
package dev.mailflow.benchmarks;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * What was measured, messages per second. Rates of different machines, or of different runs, say little; ratios of
 * medians of one run say who is faster and how much.
 */
final class Throughput {
    private final Map<RelaySystem, Map<Transport, List<Double>>> rates = new EnumMap<>(RelaySystem.class);
    private final List<RelaySystem> systems;

    /** Of these systems; ratios are those of the first to each other. */
    Throughput(List<RelaySystem> systems) {
        this.systems = List.copyOf(systems);
    }

    /** How much faster one system is than another. */
    record Ratio(RelaySystem of, RelaySystem to, Transport transport, double value) {}

    void add(RelaySystem system, Transport transport, double rate) {
        rates.computeIfAbsent(system, ignored -> new EnumMap<>(Transport.class))
                .computeIfAbsent(transport, ignored -> new ArrayList<>())
                .add(rate);
    }

    private List<Double> rates(RelaySystem system, Transport transport) {
        return rates.getOrDefault(system, Map.of()).getOrDefault(transport, List.of());
    }

    /** Empty if it was not measured. */
    OptionalDouble median(RelaySystem system, Transport transport) {
        return median(rates(system, transport));
    }

    /** The value in the middle, or between the two in the middle; empty if there is none. */
    static OptionalDouble median(List<Double> values) {
        if (values.isEmpty()) {
            return OptionalDouble.empty();
        }
        List<Double> sorted = values.stream().sorted().toList();
        int middle = sorted.size() / 2;
        return OptionalDouble.of(
                sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2);
    }

    /** Of medians, the first system to each other. */
    List<Ratio> ratios() {
        List<Ratio> ratios = new ArrayList<>();
        RelaySystem first = systems.get(0);
        for (RelaySystem other : systems.subList(1, systems.size())) {
            for (Transport transport : Transport.values()) {
                OptionalDouble numerator = median(first, transport);
                OptionalDouble denominator = median(other, transport);
                if (numerator.isPresent() && denominator.isPresent()) {
                    ratios.add(new Ratio(first, other, transport, numerator.getAsDouble() / denominator.getAsDouble()));
                }
            }
        }
        return ratios;
    }

    /** For people. */
    String toText() {
        StringBuilder text = new StringBuilder();
        text.append("%-16s%-10s%10s%10s%10s%n".formatted("messages/s", "", "median", "lowest", "highest"));
        for (RelaySystem system : systems) {
            for (Transport transport : system.transports()) {
                List<Double> measured = rates(system, transport);
                median(measured)
                        .ifPresent(median -> text.append(String.format(
                                Locale.ROOT,
                                "%-16s%-10s%10.0f%10.0f%10.0f%n",
                                system.label(),
                                transport.label(),
                                median,
                                measured.stream()
                                        .mapToDouble(Double::doubleValue)
                                        .min()
                                        .orElseThrow(),
                                measured.stream()
                                        .mapToDouble(Double::doubleValue)
                                        .max()
                                        .orElseThrow())));
            }
        }
        if (systems.size() > 1) {
            text.append("%nratios of medians%n".formatted());
            for (Ratio ratio : ratios()) {
                text.append(String.format(
                        Locale.ROOT,
                        "%-26s%-10s%8.2f%n",
                        ratio.of().label() + " / " + ratio.to().label(),
                        ratio.transport().label(),
                        ratio.value()));
            }
        }
        return text.toString();
    }

    /** For programs: adds {@code rates} and {@code ratios}. */
    void writeTo(ObjectNode json) {
        ArrayNode all = json.putArray("rates");
        for (RelaySystem system : systems) {
            for (Transport transport : system.transports()) {
                List<Double> measured = rates(system, transport);
                median(measured).ifPresent(median -> {
                    ObjectNode entry = all.addObject()
                            .put("system", system.label())
                            .put("transport", transport.label())
                            .put("median", median);
                    ArrayNode rounds = entry.putArray("rounds");
                    measured.forEach(rate -> rounds.add(rate));
                });
            }
        }
        ArrayNode ratios = json.putArray("ratios");
        ratios().forEach(ratio -> ratios.addObject()
                .put("of", ratio.of().label())
                .put("to", ratio.to().label())
                .put("transport", ratio.transport().label())
                .put("ratio", ratio.value()));
    }
}
