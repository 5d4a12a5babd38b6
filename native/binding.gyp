{
  "targets": [
    {
      "target_name": "kube_volume_metrics",
      "sources": ["<!@(node -p \"require('node:fs').readdirSync('.').filter((name) => name.endsWith('.cc')).join(' ')\")"],
      "defines": ["NAPI_VERSION=8"],
      "cflags": [
        "-fvisibility=hidden",
        "-fstack-protector-strong",
        # Some compilers define it already, and differently.
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=3",
        # The quotes are for make's shell: a path may hold spaces.
        "-ffile-prefix-map='<(module_root_dir)'=.",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter"
      ],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-O2"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-O3"],
      "ldflags": [
        "-Wl,-z,nodelete",
        "-Wl,-z,relro",
        "-Wl,-z,now",
        "-Wl,-z,noexecstack",
        "-static-libstdc++",
        "-static-libgcc"
      ]
    }
  ]
}
