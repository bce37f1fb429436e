# The sandbox: a Rust toolchain, Python, and the supervisor that runs samples. Nothing else is needed.
# No digest pin: where no registry can be reached, scripts/make-base-image makes an image of this name.
FROM rust:1.95.0-slim-trixie

# /opt/rust is the toolchain itself: rustup's stand-in for rustc costs 50 ms a call.
# /opt/lld holds the linker under the name that cc looks for; rustc's own wrapper for it needs /proc.
# The loader is told where rustc's libraries are: it would find them through /proc, which samples lack.
# No setuid program stays; /w is where a slot mounts its scratch space.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && ln -s "$(rustc --print sysroot)" /opt/rust \
    && mkdir /opt/lld && cd /opt/lld \
    && find /opt/rust/lib/rustlib -name rust-lld -exec ln -s {} ld.lld ';' \
    && echo /opt/rust/lib >/etc/ld.so.conf.d/rust.conf && ldconfig \
    && mkdir -m 1777 /w \
    && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
    && /opt/rust/bin/rustc --version \
    && python3 -I -S -c "import asyncio, ctypes, decimal, json, resource, struct, unittest, zlib"

# Compiled here: nothing can be written there later. Samples cannot look in, whichever user they are: the supervisor is 65534, or root as its group.
COPY sandbox/ /sandbox/
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /sandbox \
    && chown -R 65534:0 /sandbox && chmod -R u=rX,g=rX,o= /sandbox

# One hash seed for every slot: the order of a set must not depend on where a sample runs.
ENV PATH=/opt/rust/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/w PYTHONHASHSEED=0
WORKDIR /
USER 65534:65534
ENTRYPOINT ["/usr/bin/python3", "-s", "-S", "-B", "/sandbox/supervisor.py"]
