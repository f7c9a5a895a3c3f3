import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node in this process: SearchNode <home> <port>. It says "started", and ends with its standard input. */
public class SearchNode {
    static class Embedded extends Node {
        Embedded(Settings settings) {
            super(
                InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "interop"),
                List.of(Netty4Plugin.class),
                false);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Settings settings = Settings.builder()
            .put("cluster.name", "interop")
            .put("node.name", "interop")
            .put("path.home", arguments[0])
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("transport.type", "netty4")
            .put("transport.port", "0")
            .put("http.type", "netty4")
            .put("http.port", arguments[1])
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        try (Node node = new Embedded(settings).start()) {
            System.out.println("started");
            while (System.in.read() != -1) {
            }
        }
    }
}
