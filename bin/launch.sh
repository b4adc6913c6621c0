# Licensed under the Apache License, Version 2.0. See the LICENSE file at the top of the project.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are the caller's
#
# What bin/gateway and bin/mailflow share: sourced by them, not run. Finds a Java, builds in a checkout, and knows the
# class path. The caller has set 'program' to its own name, for messages, and 'home' to the directory above bin/.

fail() {
    printf '%s: %s\n' "$program" "$1" >&2
    exit "${2:-1}"
}

# Sets 'java' to a Java of version 17 or later.
find_java() {
    if [ -n "${JAVA_HOME:-}" ]; then
        java="$JAVA_HOME/bin/java"
        [ -x "$java" ] || fail "JAVA_HOME is '$JAVA_HOME', but there is no $java; set it to a Java 17 or later"
    else
        java="$(command -v java)" || fail "no java found; install a Java 17 or later (Debian: apt install openjdk-17-jdk-headless)"
    fi
    local release version
    # the release file answers at once; asking java itself takes as long as a small program
    release="$(dirname -- "$(dirname -- "$(readlink -f -- "$java")")")/release"
    if [ -r "$release" ]; then
        version="$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$release")"
    else
        version="$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)"
    fi
    [ "${version:-0}" -ge 17 ] || fail "$java is version ${version:-unknown}; Java 17 or later is needed"
}

# Sets 'classpath', after a build when this is a checkout whose sources changed. In an installation lib/ stands beside
# bin/, and nothing is built.
find_classpath() {
    if compgen -G "$home/lib/mailflow-gateway-*.jar" >/dev/null; then
        classpath="$home/lib/*"
        return
    fi
    if ! is_built; then
        command -v mvn >/dev/null \
            || fail "Mailflow is not built and there is no mvn; install Maven 3.8 or later (Debian: apt install maven)"
        mkdir -p "$home/gateway/target"
        # one build at a time, and none when another one has just done it
        (
            if command -v flock >/dev/null; then flock 9; fi
            is_built || build 9>&-
        ) 9>"$home/gateway/target/.build-lock" || exit
    fi
    classpath="$home/gateway/target/app/*:$home/gateway/target/app/lib/*"
}

is_built() {
    local marker="$home/gateway/target/app/.built" path newer
    [ -f "$marker" ] || return 1
    newer="$(sources | while IFS= read -r path; do find "$path" -newer "$marker"; done | head -n 1)"
    [ -z "$newer" ]
}

# What the application is made of: the modules whose jars are in it.
sources() {
    local pom module
    printf '%s\n' "$home/pom.xml"
    for pom in "$home"/*/pom.xml; do
        module="$(basename -- "$(dirname -- "$pom")")"
        if [ "$module" = gateway ] || compgen -G "$home/gateway/target/app/lib/mailflow-$module-*.jar" >/dev/null; then
            printf '%s\n' "$pom"
            [ ! -d "$home/$module/src/main" ] || printf '%s\n' "$home/$module/src/main"
        fi
    done
}

build() {
    printf '%s: building, which takes a minute or two the first time ...\n' "$program" >&2
    (cd "$home" && mvn -B -q -DskipTests -Dspotless.check.skip=true -pl gateway -am package >&2) \
        || fail "the build failed; its output is above"
}
